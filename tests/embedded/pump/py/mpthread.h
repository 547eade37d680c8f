// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT

#include "py/obj.h"

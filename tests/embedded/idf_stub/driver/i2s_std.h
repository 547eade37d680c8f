// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT

#ifndef DRIVER_I2S_STD_H
#define DRIVER_I2S_STD_H

#endif

// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT

#ifndef SOC_GPIO_REG_H
#define SOC_GPIO_REG_H

#define GPIO_OUT_REG 0x3ff44004
#define GPIO_OUT1_REG 0x3ff44010

#endif

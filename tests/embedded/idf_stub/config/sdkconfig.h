// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// What the build makes of ports/esp32/sdkconfig.zt, as far as our code and MicroPython's headers look. The
// test passes -D for the chip.

#ifndef SDKCONFIG_H
#define SDKCONFIG_H

#define CONFIG_LWIP_IPV4 1
#define CONFIG_LWIP_IPV6 1
#define CONFIG_LWIP_PPP_SUPPORT 1
#define CONFIG_LWIP_IPV6_NUM_ADDRESSES 6
#define CONFIG_LWIP_TCPIP_TASK_STACK_SIZE 7680
#define CONFIG_LWIP_MAX_UDP_PCBS 24
#define CONFIG_LWIP_HOOK_IP6_ROUTE_CUSTOM 1
#define CONFIG_LWIP_HOOK_ND6_GET_GW_CUSTOM 1
#define CONFIG_LWIP_HOOK_IP6_INPUT_CUSTOM 1
#define CONFIG_FREERTOS_UNICORE 0

#endif

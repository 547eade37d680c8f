// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Stops the build where the configuration of ESP-IDF lacks what a network interface of ours needs. The
// settings are in sdkconfig.zt; this says why each is there.

#ifndef ZT_ESP32_CONFIG_H
#define ZT_ESP32_CONFIG_H

#include "sdkconfig.h"

#if !CONFIG_LWIP_PPP_SUPPORT && !CONFIG_ESP_NETIF_BRIDGE_EN
#error "CONFIG_LWIP_PPP_SUPPORT is off: esp_netif would take the state of our interfaces for its own object and crash"
#endif

#if !CONFIG_LWIP_IPV4 || !CONFIG_LWIP_IPV6
#error "CONFIG_LWIP_IPV4 and CONFIG_LWIP_IPV6 are needed: networks give out addresses of both kinds"
#endif

#if CONFIG_LWIP_IPV6_NUM_ADDRESSES < 3
#error "CONFIG_LWIP_IPV6_NUM_ADDRESSES has to be 3 or more: link-local, and two of a network"
#endif

#if CONFIG_LWIP_TCPIP_TASK_STACK_SIZE < 7680
#error "CONFIG_LWIP_TCPIP_TASK_STACK_SIZE has to be 7680 or more: the data plane runs on that stack"
#endif

#if CONFIG_LWIP_TCPIP_CORE_LOCKING
#error "CONFIG_LWIP_TCPIP_CORE_LOCKING is on: the data plane would run on the stack of whoever sends"
#endif

#if CONFIG_LWIP_MAX_UDP_PCBS < 16
#error "CONFIG_LWIP_MAX_UDP_PCBS has to be 16 or more: a wire for each address beside the application's sockets"
#endif

#if !CONFIG_LWIP_HOOK_IP6_ROUTE_CUSTOM || !CONFIG_LWIP_HOOK_ND6_GET_GW_CUSTOM
#error "CONFIG_LWIP_HOOK_IP6_ROUTE_CUSTOM and CONFIG_LWIP_HOOK_ND6_GET_GW_CUSTOM are needed: the routes of networks"
#endif

#if !CONFIG_LWIP_HOOK_IP6_INPUT_CUSTOM
#error "CONFIG_LWIP_HOOK_IP6_INPUT_CUSTOM is needed: else an address on a network is reached from the Wi-Fi, too"
#endif

#if CONFIG_LWIP_HOOK_TCP_ISN_NONE
#error "CONFIG_LWIP_HOOK_TCP_ISN_NONE is on: others could guess the sequence numbers of connections and write into them"
#endif

#if CONFIG_BT_ENABLED
#error "CONFIG_BT_ENABLED is on: Wi-Fi, Bluetooth and the node do not fit into the internal RAM together"
#endif

#endif

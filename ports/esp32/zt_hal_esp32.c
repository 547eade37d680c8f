// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// What zt_port.h asks of a port, on ESP-IDF. Plain C; the MicroPython half is zt_pump_esp32.c.
//
// Locking. lwIP, the interfaces (zt_netif*.c), the wires (zt_hal_lwip.c) and the data plane run in one task,
// lwIP's "tiT": what comes from Wi-Fi, what sockets send and lwIP's timers are there already, and Python
// enters by zt_port_enter() - a message to that task and a wait for its answer, without the interpreter's
// lock. So none of them has a lock, and none is needed. In that task nothing blocks, nothing touches a
// Python object and nobody asks for the interpreter's lock: Python may hold it while it waits for the task.
//
// With lwIP's core locking (CONFIG_LWIP_TCPIP_CORE_LOCKING) tcpip_api_call() takes lwIP's lock and calls in
// the caller's task, and so does every socket's send: still one at a time, but on the stacks of others.
// zt_esp32_config.h refuses it for that reason alone; tests/embedded/test_esp32_threads.py runs both.
//
// From tiT to Python go three kinds of things, each read by Python with zt_port_enter() into buffers of its
// own: events of the plane, frames, echo replies. Each has a word that says whether there is any, written
// there and read anywhere (zt_atomic.h). zt_port_kick() then wakes Python.
//
// What others free: a pbuf that went up to a socket is freed by the task that read the socket. So whatever
// lends memory to lwIP (zt_netif_input.c) takes it back under SYS_ARCH_PROTECT.
//
// Stack of tiT: tests/embedded/test_esp32_stack.py adds up the calls from the UDP pcb through the plane into
// TCP and back out to the UDP pcb, and holds them under a bar. No buffer on it is over 256 bytes.

#include <stdint.h>

#include "bootloader_random.h"
#include "esp_heap_caps.h"
#include "esp_random.h"
#include "esp_timer.h"
#include "esp_wifi.h"
#include "freertos/FreeRTOS.h"
#include "freertos/task.h"
#include "lwip/priv/tcpip_priv.h"
#include "lwip/tcpip.h"
#include "zt_esp32.h"
#include "zt_esp32_config.h"
#include "zt_port.h"

typedef struct {
    struct tcpip_api_call_data call; // first: lwIP gives back its address
    int (*fn)(void *arg);
    void *arg;
    int result;
} enter_t;

static err_t entered(struct tcpip_api_call_data *call) {
    enter_t *e = (enter_t *)(void *)call;
    e->result = e->fn(e->arg);
    return ERR_OK;
}

int zt_port_enter(int (*fn)(void *arg), void *arg) {
    enter_t e = { .fn = fn, .arg = arg };
    zt_esp32_release();
    tcpip_api_call(entered, &e.call);
    zt_esp32_acquire();
    return e.result;
}

// lwIP's own clock there has ticks of 10 ms.
uint32_t zt_port_ms(void) {
    return (uint32_t)(esp_timer_get_time() / 1000);
}

// The generator is a true one while the radio runs. While it does not, the source that the bootloader uses
// stands in; it must not be on together with the radio, and the call that starts the radio is Python's as
// this one is.
void zt_port_random(void *p, size_t n) {
    int8_t power;
    bool radio = esp_wifi_get_max_tx_power(&power) == ESP_OK;
    if (!radio) {
        bootloader_random_enable();
    }
    esp_fill_random(p, n);
    if (!radio) {
        bootloader_random_disable();
    }
}

uint32_t zt_port_stack_left(void) {
    return (uint32_t)uxTaskGetStackHighWaterMark(NULL); // in bytes there
}

void zt_port_kick(void) {
    zt_esp32_wake();
}

// Internal RAM: keys and packets, and not slowed down by a cache. With PSRAM the rest of the node is there.
void *zt_port_alloc(size_t n) {
    return heap_caps_malloc(n, MALLOC_CAP_INTERNAL | MALLOC_CAP_8BIT);
}

void zt_port_free(void *p) {
    heap_caps_free(p);
}

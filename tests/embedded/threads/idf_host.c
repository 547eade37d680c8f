// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The functions of ESP-IDF that zt_hal_esp32.c calls, and the MicroPython half of the port, on a host: time,
// randomness, memory, an interpreter's lock and a bell.

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "bootloader_random.h"
#include "esp_heap_caps.h"
#include "esp_random.h"
#include "esp_timer.h"
#include "esp_wifi.h"
#include "freertos/FreeRTOS.h"
#include "freertos/task.h"
#include "idf_host.h"
#include "lwip_default_hooks.h"
#include "zt_esp32.h"

int64_t esp_timer_get_time(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

void esp_fill_random(void *buf, size_t len) {
    ssize_t n = getrandom(buf, len, 0);
    assert(n == (ssize_t)len);
    (void)n;
}

esp_err_t esp_wifi_get_max_tx_power(int8_t *power) {
    *power = 80;
    return ESP_OK;
}

void bootloader_random_enable(void) {
    assert(!"the radio runs");
}

void bootloader_random_disable(void) {
}

void *heap_caps_malloc(size_t size, uint32_t caps) {
    assert(caps == (MALLOC_CAP_INTERNAL | MALLOC_CAP_8BIT));
    (void)caps;
    return malloc(size);
}

void heap_caps_free(void *ptr) {
    free(ptr);
}

UBaseType_t uxTaskGetStackHighWaterMark(TaskHandle_t task) {
    (void)task;
    return 1;
}

struct netif *ip4_route_src_hook(const ip4_addr_t *src, const ip4_addr_t *dest) {
    (void)src;
    (void)dest;
    return NULL;
}

// ---- the interpreter ----

static pthread_mutex_t gil = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t bell_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t bell = PTHREAD_COND_INITIALIZER;
static int rung;

void zt_esp32_release(void) {
    pthread_mutex_unlock(&gil);
}

void zt_esp32_acquire(void) {
    pthread_mutex_lock(&gil);
}

void zt_esp32_wake(void) {
    pthread_mutex_lock(&bell_lock);
    rung = 1;
    pthread_cond_signal(&bell);
    pthread_mutex_unlock(&bell_lock);
}

int host_wait(int ms) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += (long)ms * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&bell_lock);
    while (!rung && pthread_cond_timedwait(&bell, &bell_lock, &until) == 0) {
    }
    int was = rung;
    rung = 0;
    pthread_mutex_unlock(&bell_lock);
    return was;
}

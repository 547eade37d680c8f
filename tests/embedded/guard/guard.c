// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The deadline of firmware on trial on an ESP32 (zt_guard_esp32.c) with a timer and a boot loader's memory of
// our own.

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include "esp_ota_ops.h"
#include "esp_system.h"
#include "esp_timer.h"
#include "py/mpconfig.h"
#include "zt_port.h"

#define CHECK(x) do { if (!(x)) { printf("FAILED line %d: %s\n", __LINE__, #x); exit(1); } } while (0)

static esp_ota_img_states_t state;
static esp_err_t asked = ESP_OK, made = ESP_OK;
static esp_timer_cb_t callback;
static int64_t now, due; // us; 0: not running
static int started, restarts;
static jmp_buf reset;

const esp_partition_t *esp_ota_get_running_partition(void) { return NULL; }

esp_err_t esp_ota_get_state_partition(const esp_partition_t *partition, esp_ota_img_states_t *out) {
    (void)partition;
    *out = state;
    return asked;
}

esp_err_t esp_timer_create(const esp_timer_create_args_t *args, esp_timer_handle_t *out) {
    callback = args->callback;
    *out = made == ESP_OK ? (esp_timer_handle_t)&due : NULL;
    return made;
}

esp_err_t esp_timer_start_once(esp_timer_handle_t timer, uint64_t us) {
    CHECK(timer == (esp_timer_handle_t)&due && due == 0);
    due = now + (int64_t)us;
    return ESP_OK;
}

esp_err_t esp_timer_stop(esp_timer_handle_t timer) {
    CHECK(timer == (esp_timer_handle_t)&due);
    esp_err_t result = due == 0;
    due = 0;
    return result;
}

void boardctrl_startup(void) { started++; }

void esp_restart(void) {
    restarts++;
    longjmp(reset, 1);
}

static void pass(int seconds) {
    int64_t end = now + seconds * (int64_t)1000000;
    if (due != 0 && due <= end) {
        now = due;
        due = 0;
        callback(NULL);
    }
    now = end;
}

// How often the chip was reset in these seconds.
static int resets(void (*what)(void), int seconds) {
    restarts = 0;
    if (setjmp(reset) == 0) {
        if (what != NULL) {
            what();
        }
        pass(seconds);
    }
    return restarts;
}

int main(void) {
    CHECK(!zt_port_guard(1000)); // before the start
    // Firmware that is good, or that nobody put there over the air.
    state = ESP_OTA_IMG_VALID;
    CHECK(resets(zt_esp32_startup, 1000000) == 0 && started == 1);
    state = ESP_OTA_IMG_PENDING_VERIFY;
    asked = 1;
    CHECK(resets(zt_esp32_startup, 1000000) == 0 && !zt_port_guard(1000));
    asked = ESP_OK;
    // On trial: a deadline from the start.
    CHECK(resets(zt_esp32_startup, 329) == 0 && started == 3);
    CHECK(resets(NULL, 2) == 1);
    // More time, and less.
    CHECK(resets(zt_esp32_startup, 100) == 0);
    CHECK(zt_port_guard(3600000) && resets(NULL, 3599) == 0 && resets(NULL, 2) == 1);
    CHECK(zt_port_guard(1000) && resets(NULL, 2) == 1);
    // Found good by zt.ota, which ends it; and by a program itself.
    CHECK(resets(zt_esp32_startup, 100) == 0 && zt_port_guard(0) && resets(NULL, 1000000) == 0);
    CHECK(resets(zt_esp32_startup, 100) == 0);
    state = ESP_OTA_IMG_VALID;
    CHECK(resets(NULL, 1000000) == 0);
    // What cannot be guarded is not tried.
    state = ESP_OTA_IMG_PENDING_VERIFY;
    made = 1;
    CHECK(resets(zt_esp32_startup, 1) == 1);
    printf("ok\n");
    return 0;
}

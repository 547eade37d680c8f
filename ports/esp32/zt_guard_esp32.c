// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Firmware on trial that never says it is good: at the chip's start, before Python's, a deadline is set, at which
// the chip is reset and the boot loader goes back to the firmware before. A timer of ESP-IDF keeps it, so it
// comes whatever the program does or does not do: an exception, a loop, a soft reset. lib/zt/ota.py moves it
// and takes it away.

#include "py/mpconfig.h"

#include "esp_ota_ops.h"
#include "esp_system.h"
#include "esp_timer.h"
#include "zt_port.h"

// The program has half a minute until it calls zt.ota.check(), which then has five (its within_ms).
#define GUARD_MS 330000

static esp_timer_handle_t timer; // NULL: no firmware is on trial

// As the boot loader has it: only started once, and not found good by zt.ota or by esp32.Partition.
static bool on_trial(void) {
    esp_ota_img_states_t state;
    return esp_ota_get_state_partition(esp_ota_get_running_partition(), &state) == ESP_OK
        && state == ESP_OTA_IMG_PENDING_VERIFY;
}

static void late(void *arg) {
    (void)arg;
    if (on_trial()) {
        esp_restart();
    }
}

bool zt_port_guard(uint32_t ms) {
    if (timer == NULL) {
        return false;
    }
    esp_timer_stop(timer); // an error if it was not running, which is no matter
    return ms == 0 || esp_timer_start_once(timer, (uint64_t)ms * 1000) == ESP_OK;
}

// For upstream's app_main (MICROPY_BOARD_STARTUP): what it does by itself, and the guard.
void zt_esp32_startup(void) {
    boardctrl_startup();
    const esp_timer_create_args_t args = { .callback = late, .name = "zt guard" };
    if (on_trial() && (esp_timer_create(&args, &timer) != ESP_OK || !zt_port_guard(GUARD_MS))) {
        esp_restart(); // what cannot be guarded is not tried
    }
}

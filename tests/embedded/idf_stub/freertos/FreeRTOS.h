// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT

#ifndef FREERTOS_FREERTOS_H
#define FREERTOS_FREERTOS_H

#include <stdint.h>

#include "esp_err.h"
#include "sdkconfig.h"

typedef int BaseType_t;
typedef unsigned UBaseType_t;
typedef uint32_t TickType_t;
#define pdFALSE 0
#define IRAM_ATTR __attribute__((section(".iram1")))

typedef struct {
    uint32_t owner, count;
} portMUX_TYPE;
void vPortEnterCritical(portMUX_TYPE *mux);
void vPortExitCritical(portMUX_TYPE *mux);
#define portENTER_CRITICAL(mux) vPortEnterCritical(mux)
#define portEXIT_CRITICAL(mux) vPortExitCritical(mux)

#endif

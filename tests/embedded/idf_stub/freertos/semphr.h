// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT

#ifndef FREERTOS_SEMPHR_H
#define FREERTOS_SEMPHR_H

#include "freertos/FreeRTOS.h"

typedef struct semaphore *SemaphoreHandle_t;
typedef struct {
    uint32_t words[22];
} StaticSemaphore_t;

#endif

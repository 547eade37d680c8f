// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT

#ifndef THREADS_H
#define THREADS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(x) do { if (!(x)) { printf("FAILED %s:%d: %s\n", __FILE__, __LINE__, #x); exit(1); } } while (0)

// ---- threads.c: who we are, where the board is, the key that both have
extern const uint8_t us[5], peer[5], nwid[8], board_ip[4], peer_outer[4];
extern uint8_t key[48];
extern uint16_t wire_port;
extern pthread_t stack_thread;

// ---- air.c
extern atomic_int wrong_thread, mirrored, forged;
// Makes the board's Wi-Fi interface, in the stack's context.
int air_begin(void *arg);
void *air_thread(void *arg);
uint16_t ip_sum(const uint8_t *p, size_t n);

#endif

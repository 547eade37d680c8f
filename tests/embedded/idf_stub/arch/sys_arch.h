// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT

#ifndef ARCH_SYS_ARCH_H
#define ARCH_SYS_ARCH_H

typedef struct sys_sem *sys_sem_t;
typedef struct sys_mutex *sys_mutex_t;
typedef struct sys_mbox *sys_mbox_t;
typedef struct sys_thread *sys_thread_t;

// Each task has a semaphore to wait with.
sys_sem_t *sys_thread_sem_get(void);
#define LWIP_NETCONN_THREAD_SEM_GET() sys_thread_sem_get()

#endif

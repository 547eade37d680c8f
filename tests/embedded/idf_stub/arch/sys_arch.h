// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT

#ifndef ARCH_SYS_ARCH_H
#define ARCH_SYS_ARCH_H

typedef struct sys_sem *sys_sem_t;
typedef struct sys_mutex *sys_mutex_t;
typedef struct sys_mbox *sys_mbox_t;
typedef struct sys_thread *sys_thread_t;

#endif

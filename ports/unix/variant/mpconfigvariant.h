// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// MicroPython's unix port, set up for a node: what its `standard` variant has, less threads,
// libraries and file systems but littlefs, and with every wait of the process in our hands (zt_wait.h).

#define MICROPY_CONFIG_ROM_LEVEL (MICROPY_CONFIG_ROM_LEVEL_EXTRA_FEATURES)
#include "ports/unix/variants/mpconfigvariant_common.h"

// Ctrl-C becomes an exception between two instructions of the interpreter. Raised straight from the
// signal handler, as upstream does, it could leave lwIP or a state file half changed.
#undef MICROPY_ASYNC_KBD_INTR
#define MICROPY_ASYNC_KBD_INTR (0)

// The heap starts small and grows, so that an idle node stays small; its sizes are in zt_process.c.
#include <stdlib.h>
#define MICROPY_GC_SPLIT_HEAP (1)
#define MICROPY_GC_SPLIT_HEAP_AUTO (1)
size_t gc_get_max_new_split(void);

// zt_modselect.c brings upstream's select module with waits that pump.
#define MICROPY_PY_SELECT (0)

// time.sleep() and time.sleep_ms() pump too.
#undef MICROPY_PY_TIME_INCLUDEFILE
#define MICROPY_PY_TIME_INCLUDEFILE "zt_modtime.h"
#define MICROPY_MPHALPORT_H "zt_mphalport.h"

// Our modules forget what they hold when they are imported anew after a reset.
#define MICROPY_MODULE_BUILTIN_INIT (1)

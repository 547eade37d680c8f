// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Linked into a program with -Wl,--wrap=... for each function here, it counts their calls in the file that
// ZT_MALLOC_COUNT names, mapped into memory so that others can read it meanwhile: 64-bit counters of malloc,
// calloc, realloc, free and the C library's other doors to memory, then who called malloc last. In a static
// program the C library's own calls count too.

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MALLOC, CALLOC, REALLOC, FREE, OTHER, LAST, COUNTERS };

static uint64_t own[COUNTERS];
static uint64_t *counters = own;

void *__real_malloc(size_t n);
void *__real_calloc(size_t times, size_t n);
void *__real_realloc(void *p, size_t n);
void __real_free(void *p);
void *__real_memalign(size_t align, size_t n);
int __real_posix_memalign(void **p, size_t align, size_t n);
void *__real_aligned_alloc(size_t align, size_t n);

void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t times, size_t n);
void *__wrap_realloc(void *p, size_t n);
void __wrap_free(void *p);
void *__wrap_memalign(size_t align, size_t n);
int __wrap_posix_memalign(void **p, size_t align, size_t n);
void *__wrap_aligned_alloc(size_t align, size_t n);

static void count(unsigned which, const void *caller) {
    counters[which]++;
    counters[LAST] = (uint64_t)(uintptr_t)caller;
}

__attribute__((constructor)) static void start(void) {
    const char *name = getenv("ZT_MALLOC_COUNT");
    const int fd = name ? open(name, O_RDWR | O_CREAT, 0600) : -1;
    if (fd < 0 || ftruncate(fd, sizeof own)) {
        return;
    }
    void *p = mmap(NULL, sizeof own, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p != MAP_FAILED) {
        counters = p;
    }
    close(fd);
}

#define CALLER __builtin_return_address(0)

void *__wrap_malloc(size_t n) {
    count(MALLOC, CALLER);
    return __real_malloc(n);
}

void *__wrap_calloc(size_t times, size_t n) {
    count(CALLOC, CALLER);
    return __real_calloc(times, n);
}

void *__wrap_realloc(void *p, size_t n) {
    count(REALLOC, CALLER);
    return __real_realloc(p, n);
}

void __wrap_free(void *p) {
    counters[FREE]++;
    __real_free(p);
}

void *__wrap_memalign(size_t align, size_t n) {
    count(OTHER, CALLER);
    return __real_memalign(align, n);
}

int __wrap_posix_memalign(void **p, size_t align, size_t n) {
    count(OTHER, CALLER);
    return __real_posix_memalign(p, align, n);
}

void *__wrap_aligned_alloc(size_t align, size_t n) {
    count(OTHER, CALLER);
    return __real_aligned_alloc(align, n);
}

// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// A C library for the tests of the core on machines for which none is installed: a process of Linux on any of
// seven instruction sets, with nothing but system calls below it. Only what those tests use. Memory is given
// out in a row and begins anew when all of it has been given back.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
enum { READ = 0, WRITE = 1, CLOSE = 3, EXIT = 231, OPENAT = 257 };
#elif defined(__aarch64__) || defined(__riscv)
enum { READ = 63, WRITE = 64, CLOSE = 57, EXIT = 94, OPENAT = 56 };
#elif defined(__arm__)
enum { READ = 3, WRITE = 4, CLOSE = 6, EXIT = 248, OPENAT = 322 };
#elif defined(__powerpc__)
enum { READ = 3, WRITE = 4, CLOSE = 6, EXIT = 234, OPENAT = 286 };
#elif defined(__mips__)
enum { READ = 4003, WRITE = 4004, CLOSE = 4006, EXIT = 4246, OPENAT = 4288 };
#elif defined(__XTENSA__)
enum { READ = 12, WRITE = 13, CLOSE = 9, EXIT = 118, OPENAT = 288 };
#else
#error "no system calls for this machine"
#endif

// The first thing that runs: the address of the process's arguments goes to bare_main. That of
// Xtensa has a file of its own.
#if defined(__x86_64__)
__asm__(".globl _start\n_start: mov %rsp, %rdi\nand $-16, %rsp\ncall bare_main\n");
#elif defined(__aarch64__)
__asm__(".globl _start\n_start: mov x0, sp\nbl bare_main\n");
#elif defined(__riscv)
__asm__(".globl _start\n_start:\n.option push\n.option norelax\nla gp, __global_pointer$\n.option pop\n"
        "mv a0, sp\nandi sp, sp, -16\ncall bare_main\n");
#elif defined(__arm__)
__asm__(".arm\n.globl _start\n.type _start, %function\n_start: mov r0, sp\nbic sp, sp, #7\nbl bare_main\n");
#elif defined(__powerpc__)
__asm__(".globl _start\n_start: mr 3, 1\nrlwinm 1, 1, 0, 0, 27\nli 0, 0\nstwu 0, -16(1)\nbl bare_main\n");
#elif defined(__mips__)
__asm__(".globl _start\n_start: move $4, $29\nli $8, -8\nand $29, $29, $8\naddiu $29, $29, -32\njal bare_main\nnop\n");
#endif

void bare_main(long *stack) __attribute__((noreturn, used));
int main(int argc, char **argv);

// A negative result is an error.
static long system_call(long number, long a, long b, long c) {
#if defined(__x86_64__)
    register long r __asm__("rax") = number;
    register long x __asm__("rdi") = a;
    register long y __asm__("rsi") = b;
    register long z __asm__("rdx") = c;
    __asm__ volatile("syscall" : "+r"(r) : "r"(x), "r"(y), "r"(z) : "rcx", "r11", "memory");
#elif defined(__aarch64__)
    register long n __asm__("x8") = number;
    register long r __asm__("x0") = a;
    register long y __asm__("x1") = b;
    register long z __asm__("x2") = c;
    __asm__ volatile("svc 0" : "+r"(r) : "r"(n), "r"(y), "r"(z) : "memory");
#elif defined(__riscv)
    register long n __asm__("a7") = number;
    register long r __asm__("a0") = a;
    register long y __asm__("a1") = b;
    register long z __asm__("a2") = c;
    __asm__ volatile("ecall" : "+r"(r) : "r"(n), "r"(y), "r"(z) : "memory");
#elif defined(__arm__)
    // r7 may be the frame's pointer.
    register long n __asm__("r4") = number;
    register long r __asm__("r0") = a;
    register long y __asm__("r1") = b;
    register long z __asm__("r2") = c;
    __asm__ volatile("push {r7}\nmov r7, r4\nsvc 0\npop {r7}" : "+r"(r) : "r"(n), "r"(y), "r"(z) : "memory");
#elif defined(__powerpc__)
    register long n __asm__("r0") = number;
    register long r __asm__("r3") = a;
    register long y __asm__("r4") = b;
    register long z __asm__("r5") = c;
    __asm__ volatile("sc\nbns+ 1f\nneg 3, 3\n1:" : "+r"(n), "+r"(r), "+r"(y), "+r"(z) : : "cr0", "ctr", "r6", "r7",
                     "r8", "r9", "r10", "r11", "r12", "memory");
#elif defined(__mips__)
    register long n __asm__("$2") = number;
    register long r __asm__("$4") = a;
    register long y __asm__("$5") = b;
    register long z __asm__("$6") = c;
    register long failed __asm__("$7") = 0;
    __asm__ volatile("syscall" : "+r"(n), "+r"(failed) : "r"(r), "r"(y), "r"(z) : "$1", "$3", "$8", "$9", "$10",
                     "$11", "$12", "$13", "$14", "$15", "$24", "$25", "hi", "lo", "memory");
    r = failed ? -n : n;
#elif defined(__XTENSA__)
    register long r __asm__("a2") = number;
    register long x __asm__("a6") = a;
    register long y __asm__("a3") = b;
    register long z __asm__("a4") = c;
    __asm__ volatile("syscall" : "+r"(r) : "r"(x), "r"(y), "r"(z) : "memory");
#endif
    return r;
}

static void leave(int code) __attribute__((noreturn));

static void leave(int code) {
    for (;;) {
        system_call(EXIT, code, 0, 0);
    }
}

void abort(void) {
    puts("aborted");
    leave(134);
}

#if defined(__arm__)
int raise(int signal);

// What the compiler's division calls for a division by zero.
int raise(int signal) {
    (void)signal;
    abort();
}
#endif

void bare_main(long *stack) {
#if defined(__x86_64__)
    __builtin_cpu_init(); // no constructor runs
#endif
    leave(main((int)stack[0], (char **)(stack + 1)));
}

// ---- bytes ----

// The empty assembly keeps the compiler from making a call of memcpy of memcpy's own loop.
#define STEP() __asm__ volatile("" : : : "memory")

void *memcpy(void *to, const void *from, size_t n) {
    uint8_t *t = to;
    const uint8_t *f = from;
    while (n--) {
        *t++ = *f++;
        STEP();
    }
    return to;
}

void *memmove(void *to, const void *from, size_t n) {
    uint8_t *t = to;
    const uint8_t *f = from;
    if (t <= f) {
        return memcpy(to, from, n);
    }
    while (n--) {
        t[n] = f[n];
        STEP();
    }
    return to;
}

void *memset(void *to, int value, size_t n) {
    uint8_t *t = to;
    while (n--) {
        *t++ = (uint8_t)value;
        STEP();
    }
    return to;
}

int memcmp(const void *a, const void *b, size_t n) {
    const uint8_t *x = a;
    const uint8_t *y = b;
    for (; n--; x++, y++) {
        if (*x != *y) {
            return *x - *y;
        }
    }
    return 0;
}

size_t strlen(const char *text) {
    size_t n = 0;
    while (text[n]) {
        n++;
        STEP();
    }
    return n;
}

// ---- memory ----

#define HEAP (16u << 20)
#define HEAD 16 // in front of each block: its size

static uint8_t heap[HEAP] __attribute__((aligned(16)));
static size_t used, blocks;

void *malloc(size_t n) {
    const size_t size = HEAD + ((n + 15) & ~(size_t)15);
    if (n > HEAP || size > HEAP - used) {
        puts("out of memory");
        abort();
    }
    uint8_t *p = heap + used;
    used += size;
    blocks++;
    memcpy(p, &n, sizeof n);
    return p + HEAD;
}

void free(void *p) {
    if (p && --blocks == 0) {
        used = 0;
    }
}

void *calloc(size_t count, size_t n) {
    void *p = malloc(count * n);
    return memset(p, 0, count * n);
}

void *realloc(void *p, size_t n) {
    size_t had = 0;
    void *out = malloc(n);
    if (p) {
        memcpy(&had, (uint8_t *)p - HEAD, sizeof had);
        memcpy(out, p, had < n ? had : n);
        free(p);
    }
    return out;
}

// ---- files and lines ----

FILE *fopen(const char *path, const char *mode) {
    (void)mode;
    const long fd = system_call(OPENAT, -100, (long)path, 0); // from the working folder, to read
    return fd < 0 ? NULL : (FILE *)(intptr_t)(fd + 1);
}

size_t fread(void *to, size_t size, size_t count, FILE *f) {
    uint8_t *p = to;
    size_t have = 0;
    while (have < size * count) {
        const long n = system_call(READ, (long)(intptr_t)f - 1, (long)(p + have), (long)(size * count - have));
        if (n <= 0) {
            break;
        }
        have += (size_t)n;
    }
    return have / size;
}

int fclose(FILE *f) {
    return (int)system_call(CLOSE, (long)(intptr_t)f - 1, 0, 0);
}

int puts(const char *text) {
    system_call(WRITE, 1, (long)text, (long)strlen(text));
    system_call(WRITE, 1, (long)"\n", 1);
    return 0;
}

// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// As much of MicroPython as the native .mpy of firmware/natmod needs on a 32-bit machine: loads its machine
// code, moves the addresses in it, runs its start, and calls its functions with the cases of a file, the one
// that vectors.c reads: `mpy_loader NATIVE_MPY CASES`. For processors that no board can be emulated with. names.h
// is made from natmod.c: the names that it stores, in order.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "line.h"
#include "names.h"

#include "zt_bytes.h"

#define CODE_MAX 65536
#define FILE_MAX (2u << 20)
#define ENTRIES 100
#define FIELDS 6

static uint8_t code[CODE_MAX] __attribute__((aligned(16)));
static uint8_t rodata[CODE_MAX] __attribute__((aligned(16)));
static uint8_t copied[CODE_MAX + 8];

static void fail(const char *why) {
    puts(why);
    abort();
}

// ---- objects ----

// Small integers are odd; all others are one of these.
typedef struct {
    const void *type;
    uint8_t *p;
    size_t n;
} object_t;

typedef uintptr_t obj_t;

static object_t none, no, yes, result;
static uint8_t result_bytes[256];

#define SMALL(n) ((obj_t)(n) << 1 | 1)

// ---- MicroPython's table, as py/nativeglue.h has it ----

enum {
    NONE, FALSE, TRUE, FROM_OBJ, TO_OBJ, SWAP_GLOBALS, STORE_GLOBAL = 13, MEMSET = 50, MEMMOVE = 51,
    RAISE_MSG = 55, NEW_BYTES = 58, GET_BUFFER = 65, FUN_0 = 77, FUN_1, FUN_2, FUN_3, FUN_VAR
};

static uintptr_t table[ENTRIES];
static obj_t stored[sizeof(NAMES) / sizeof(NAMES[0])];
static unsigned stored_count;

static void unexpected(void) {
    fail("a function that is not there was called");
}

static obj_t from_obj(obj_t o, uintptr_t type) {
    (void)type;
    if (!(o & 1)) {
        fail("not an integer");
    }
    return (obj_t)((intptr_t)o >> 1);
}

static obj_t to_obj(uintptr_t value, uintptr_t type) {
    (void)type;
    return SMALL(value);
}

static obj_t swap_globals(obj_t globals) {
    return globals;
}

static void store_global(uintptr_t name, obj_t o) {
    (void)name;
    if (stored_count == sizeof(NAMES) / sizeof(NAMES[0])) {
        fail("more names than natmod.c has");
    }
    stored[stored_count++] = o;
}

static void raise_msg(const void *type, const char *text) {
    (void)type;
    fail(text);
}

static obj_t new_bytes(const uint8_t *p, size_t n) {
    if (n > sizeof(result_bytes)) {
        fail("a result too long");
    }
    memcpy(result_bytes, p, n);
    result.p = result_bytes;
    result.n = n;
    return (obj_t)&result;
}

static int get_buffer(obj_t o, uintptr_t info[3], uintptr_t flags) {
    (void)flags;
    if (o & 1) {
        fail("not a buffer");
    }
    const object_t *b = (const object_t *)o;
    info[0] = (uintptr_t)b->p;
    info[1] = b->n;
    return 1;
}

static void make_table(void) {
    for (unsigned i = 0; i < ENTRIES; i++) {
        table[i] = (uintptr_t)unexpected;
    }
    table[NONE] = (uintptr_t)&none;
    table[FALSE] = (uintptr_t)&no;
    table[TRUE] = (uintptr_t)&yes;
    table[FROM_OBJ] = (uintptr_t)from_obj;
    table[TO_OBJ] = (uintptr_t)to_obj;
    table[SWAP_GLOBALS] = (uintptr_t)swap_globals;
    table[STORE_GLOBAL] = (uintptr_t)store_global;
    table[MEMSET] = (uintptr_t)memset;
    table[MEMMOVE] = (uintptr_t)memmove;
    table[RAISE_MSG] = (uintptr_t)raise_msg;
    table[NEW_BYTES] = (uintptr_t)new_bytes;
    table[GET_BUFFER] = (uintptr_t)get_buffer;
    for (unsigned i = FUN_0; i <= FUN_VAR; i++) {
        table[i] = (uintptr_t)&table[i]; // a type: only which one it is counts
    }
}

// ---- the file ----

static const uint8_t *at, *end;

static unsigned get_byte(void) {
    if (at == end) {
        fail("the file is too short");
    }
    return *at++;
}

static size_t get_number(void) {
    size_t n = 0;
    unsigned b;
    do {
        b = get_byte();
        n = n << 7 | (b & 127);
    } while (b & 128);
    return n;
}

static void get_bytes(uint8_t *to, size_t n) {
    if (n > CODE_MAX || n > (size_t)(end - at)) {
        fail("the file is too short");
    }
    memcpy(to, at, n);
    at += n;
}

static void relocate(void) {
    static uint16_t names[64];
    uintptr_t *where = NULL;
    for (unsigned op = get_byte(); op != 0xff; op = get_byte()) {
        if (op & 1) {
            const size_t place = get_number();
            where = (uintptr_t *)(void *)(place & 1 ? rodata : code) + (place >> 1);
        }
        op >>= 1;
        size_t n = 1;
        uintptr_t to;
        if (op <= 5) {
            if (op & 1) {
                n = get_number();
            }
            to = (uintptr_t)(op >> 1 == 0 ? code : rodata);
            if (op >> 1 == 2) {
                fail("it has variables");
            }
        } else if (op == 6) {
            to = (uintptr_t)names;
        } else if (op == 8) {
            to = (uintptr_t)table;
        } else if (op > 8 && op - 9 < ENTRIES) {
            to = table[op - 9];
        } else {
            fail("a relocation that is not known");
            return;
        }
        while (n--) {
            *where++ += to;
        }
    }
}

static void load(const char *path, uint8_t *file) {
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        fail("no such .mpy");
    }
    at = file;
    end = file + fread(file, 1, FILE_MAX, f);
    fclose(f);
    uint8_t head[4];
    get_bytes(head, 4);
    if (head[0] != 'M' || head[1] != 6) {
        fail("not a .mpy of version 6");
    }
    const size_t names = get_number();
    if (get_number() != 0 || names > 64) {
        fail("too many names, or objects");
    }
    for (size_t i = 0; i < names; i++) {
        const size_t n = get_number();
        if (!(n & 1)) {
            uint8_t name[128];
            if (n >> 1 >= sizeof name) {
                fail("a name too long");
            }
            get_bytes(name, (n >> 1) + 1);
        }
    }
    const size_t kind = get_number();
    if ((kind & 7) != 2) {
        fail("not native code alone");
    }
    get_bytes(code, kind >> 3);
    const size_t flags = get_number();
    const size_t constants = flags & 0x20 ? get_number() : 0;
    if (flags & 0x40) {
        fail("it has variables");
    }
    get_bytes(rodata, constants);
    relocate();
}

static void start(void) {
    static uintptr_t context[8];
    static uintptr_t self[4] = {0};
    self[1] = (uintptr_t)context;
    ((obj_t (*)(void *, size_t, size_t, obj_t *))(uintptr_t)code)(self, 0, 0, NULL);
    if (stored_count != sizeof(NAMES) / sizeof(NAMES[0])) {
        fail("fewer names than natmod.c has");
    }
}

// ---- calls ----

static obj_t call(const char *name, obj_t *a, size_t n) {
    unsigned i = 0;
    while (i < stored_count && (strlen(name) != strlen(NAMES[i]) || memcmp(name, NAMES[i], strlen(name)) != 0)) {
        i++;
    }
    if (i == stored_count) {
        fail(name);
    }
    const uintptr_t *function = (const uintptr_t *)stored[i];
    const uintptr_t type = function[0];
    if (type == table[FUN_1] && n == 1) {
        return ((obj_t (*)(obj_t))function[1])(a[0]);
    }
    if (type == table[FUN_2] && n == 2) {
        return ((obj_t (*)(obj_t, obj_t))function[1])(a[0], a[1]);
    }
    if (type == table[FUN_3] && n == 3) {
        return ((obj_t (*)(obj_t, obj_t, obj_t))function[1])(a[0], a[1], a[2]);
    }
    if (type == table[FUN_VAR]) {
        return ((obj_t (*)(size_t, obj_t *))function[2])(n, a);
    }
    fail("a function of another kind");
    return 0;
}

// As the table of vectors.c. What is given to the function: each field, b its bytes or w a copy of them that
// it changes; then what it is to give: r bytes, t a truth, w the copy, W the copy and a truth.
static const struct {
    const char *name;
    const char *form;
} CALLS[] = {
    {"sha512", "br"}, {"sha384", "br"}, {"salsa20_xor", ""}, {"poly1305", "bbr"}, {"x25519", "bbr"},
    {"public_key_dh", "br"}, {"ed25519_sign", "bbbr"}, {"ed25519_verify", "bbbt"}, {"public_key", "br"},
    {"agree", "bbr"}, {"sign", "bbbr"}, {"verify", "bbbt"}, {"idhash", NULL}, {"seal", ""}, {"open", ""},
    {"hello_mask", ""}, {"lz4_decompress", ""},
};

#define COUNT (sizeof(CALLS) / sizeof(CALLS[0]))

static object_t fields[FIELDS];

static obj_t writable(object_t *o, size_t n) {
    memcpy(copied, o->p, o->n);
    o->p = copied;
    o->n = n;
    return (obj_t)o;
}

// 1 if the answer is right, 0 if it is wrong, -1 if this call is not for here.
static int one(unsigned what, const object_t *answer) {
    obj_t a[FIELDS];
    obj_t got;
    size_t n = 0;
    const char *form = CALLS[what].form;
    const char *name = CALLS[what].name;
    object_t *const f = fields;
    for (unsigned i = 0; i < FIELDS; i++) {
        a[i] = (obj_t)&f[i];
    }
    if (form == NULL) {
        return -1;
    }
    for (; form[n] == 'b'; n++) {
    }
    if (form[n]) {
        got = call(name, a, n);
        if (form[n] == 't') {
            return (got == (obj_t)&yes) == answer->p[0];
        }
        return got == (obj_t)&result && result.n == answer->n && memcmp(result.p, answer->p, answer->n) == 0;
    }
    if (memcmp(name, "sal", 3) == 0) {
        const uint64_t block = zt_load64_le(f[3].p);
        if (block >> 29) {
            return -1; // would be a long integer
        }
        obj_t args[5] = {a[0], a[1], writable(&f[4], f[4].n), SMALL(f[2].p[0]), SMALL(block)};
        got = call(name, args, 5);
    } else if (memcmp(name, "seal", 4) == 0) {
        if (answer->n == 0) {
            return -1; // raises
        }
        const size_t size = f[1].n;
        obj_t args[4] = {a[0], writable(&f[1], size), SMALL(size), SMALL(f[2].p[0])};
        got = call(name, args, 4);
    } else if (memcmp(name, "open", 4) == 0) {
        const size_t size = f[1].n;
        obj_t args[3] = {a[0], writable(&f[1], size), SMALL(size)};
        got = call(name, args, 3);
        return memcmp(copied, answer->p, size) == 0 && (got == (obj_t)&yes) == answer->p[size];
    } else if (memcmp(name, "hello", 5) == 0) {
        if (answer->n == 0) {
            return -1; // raises
        }
        const size_t size = f[1].n;
        obj_t args[4] = {a[0], writable(&f[1], size), SMALL(zt_load32_le(f[2].p)), SMALL(size)};
        got = call(name, args, 4);
    } else {
        const uint32_t room = zt_load32_le(f[1].p);
        f[1].p = copied;
        f[1].n = room;
        got = call(name, a, 2);
        if (answer->n == 0) {
            return got == SMALL(0) || got == SMALL(-1);
        }
        return got == SMALL(answer->n) && memcmp(copied, answer->p, answer->n) == 0;
    }
    return got == (obj_t)&none && memcmp(copied, answer->p, answer->n) == 0;
}

int main(int argc, char **argv) {
    static unsigned right[COUNT], wrong[COUNT];
    if (argc != 3) {
        fail("usage: mpy_loader NATIVE_MPY CASES");
    }
    uint8_t *const file = malloc(FILE_MAX);
    make_table();
    load(argv[1], file);
    start();
    FILE *f = fopen(argv[2], "rb");
    if (f == NULL) {
        fail("no such file of cases");
    }
    at = file;
    end = file + fread(file, 1, FILE_MAX, f);
    fclose(f);
    int failed = 0;
    while (at != end) {
        const unsigned what = get_byte();
        const unsigned n = get_byte();
        if (what >= COUNT || n > FIELDS) {
            fail("the file of cases is not what it should be");
        }
        for (unsigned i = 0; i < n; i++) {
            uint8_t length[4];
            get_bytes(length, 4);
            fields[i].n = zt_load32_le(length);
            fields[i].p = (uint8_t *)(uintptr_t)at;
            if (fields[i].n > (size_t)(end - at)) {
                fail("the file of cases is too short");
            }
            at += fields[i].n;
        }
        const object_t answer = fields[n - 1];
        const int good = one(what, &answer);
        right[what] += good > 0;
        wrong[what] += good == 0;
        failed |= good == 0;
    }
    for (unsigned i = 0; i < COUNT; i++) {
        line_t line = {{0}, 0};
        line_add(&line, CALLS[i].name);
        line_add(&line, " ");
        line_number(&line, right[i], 10, 0);
        line_add(&line, " ");
        line_number(&line, wrong[i], 10, 0);
        line_end(&line);
    }
    free(file);
    return failed;
}

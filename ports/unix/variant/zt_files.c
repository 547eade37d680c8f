// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// What MicroPython's os module lacks for keeping state: a file that is replaced whole or not at all,
// a lock against a second node on the same home, and the kernel's random numbers.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "py/mphal.h"
#include "py/runtime.h"
#include "zt_netif.h"
#include "zt_port.h"
#include "zt_hal_py.h"
#include "zt_unix.h"

static int write_all(int fd, const uint8_t *p, size_t n) {
    while (n != 0) {
        ssize_t done = write(fd, p, n);
        if (done < 0) {
            if (errno == EINTR) {
                continue;
            }
            return errno;
        }
        p += done;
        n -= (size_t)done;
    }
    return 0;
}

// The rename itself is on disk once its folder is.
static int sync_folder(const char *path) {
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        strcpy(folder, ".");
    } else {
        size_t n = slash == path ? 1 : (size_t)(slash - path);
        memcpy(folder, path, n);
        folder[n] = '\0';
    }
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    int err = fsync(fd) == 0 || errno == EINVAL ? 0 : errno;
    close(fd);
    return err;
}

static int save_to(const char *path, const char *temporary, const void *data, size_t n, mode_t mode) {
    unlink(temporary); // left by a process that died
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0) {
        return errno;
    }
    int err = fchmod(fd, mode) == 0 ? 0 : errno; // whatever the umask
    if (err == 0) {
        err = write_all(fd, data, n);
    }
    if (err == 0 && fsync(fd) != 0) {
        err = errno;
    }
    if (close(fd) != 0 && err == 0) {
        err = errno;
    }
    if (err == 0 && rename(temporary, path) != 0) {
        err = errno;
    }
    if (err != 0) {
        unlink(temporary);
        return err;
    }
    return sync_folder(path);
}

// save(path, data, mode)
static mp_obj_t save(mp_obj_t path_in, mp_obj_t data_in, mp_obj_t mode_in) {
    const char *path = mp_obj_str_get_str(path_in);
    mp_buffer_info_t data;
    mp_get_buffer_raise(data_in, &data, MP_BUFFER_READ);
    char temporary[PATH_MAX];
    if (snprintf(temporary, sizeof(temporary), "%s.%d.tmp", path, (int)getpid()) >= (int)sizeof(temporary)) {
        mp_raise_OSError(ENAMETOOLONG);
    }
    int err = save_to(path, temporary, data.buf, data.len, (mode_t)mp_obj_get_int(mode_in) & 0777);
    if (err != 0) {
        mp_raise_OSError(err);
    }
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_3(zt_save_obj, save);

// The lock is the process's: it goes with it, however it ends.
static mp_obj_t lock(mp_obj_t path_in) {
    int fd = open(mp_obj_str_get_str(path_in), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        mp_raise_OSError(errno);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int err = errno;
        close(fd);
        mp_raise_OSError(err);
    }
    return MP_OBJ_NEW_SMALL_INT(fd);
}
MP_DEFINE_CONST_FUN_OBJ_1(zt_lock_obj, lock);

static mp_obj_t unlock(mp_obj_t handle) {
    close((int)mp_obj_get_int(handle));
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_1(zt_unlock_obj, unlock);

static mp_obj_t make_folder(mp_obj_t path_in, mp_obj_t mode_in) {
    if (mkdir(mp_obj_str_get_str(path_in), (mode_t)mp_obj_get_int(mode_in) & 0777) != 0) {
        mp_raise_OSError(errno);
    }
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_2(zt_mkdir_obj, make_folder);

// read(fd, buf): what there is of a file, a pipe or a terminal, without filling the buffer; 0 at the end.
static mp_obj_t read_some(mp_obj_t fd_in, mp_obj_t buf_in) {
    mp_buffer_info_t buf;
    mp_get_buffer_raise(buf_in, &buf, MP_BUFFER_WRITE);
    int fd = (int)mp_obj_get_int(fd_in);
    ssize_t n;
    MP_HAL_RETRY_SYSCALL(n, read(fd, buf.buf, buf.len), mp_raise_OSError(err));
    return MP_OBJ_NEW_SMALL_INT(n);
}
MP_DEFINE_CONST_FUN_OBJ_2(zt_read_obj, read_some);

static int fill_random(void *p, size_t n) {
    uint8_t *out = p;
    while (n != 0) {
        ssize_t done = getrandom(out, n, 0);
        if (done < 0) {
            if (errno == EINTR) {
                continue;
            }
            return errno;
        }
        out += done;
        n -= (size_t)done;
    }
    return 0;
}

static mp_obj_t random_bytes(mp_obj_t n_in) {
    mp_int_t n = mp_obj_get_int(n_in);
    if (n < 0) {
        mp_raise_ValueError(MP_ERROR_TEXT("bad argument"));
    }
    vstr_t v;
    vstr_init_len(&v, (size_t)n);
    int err = fill_random(v.buf, (size_t)n);
    if (err != 0) {
        mp_raise_OSError(err);
    }
    return mp_obj_new_bytes_from_vstr(&v);
}
MP_DEFINE_CONST_FUN_OBJ_1(zt_random_obj, random_bytes);

void zt_port_random(void *p, size_t n) {
    if (fill_random(p, n) != 0) {
        abort();
    }
}

// lwIP's: port numbers and sequence numbers must not be guessed.
uint32_t zt_netif_random(void) {
    uint32_t r;
    zt_port_random(&r, sizeof(r));
    return r;
}

void zt_netif_assert(const char *what, const char *file, int line) {
    fprintf(stderr, "lwip: %s (%s:%d)\n", what, file, line);
    abort();
}

// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// The group of Ed25519, -x^2 + y^2 = 1 + d x^2 y^2, in extended coordinates, and multiples in it.
// Included by zt_c25519.c only. Constant time, except what is named vartime.
//
// Multiples of the base point go by a comb of five teeth over digits 1 and -1: 51 doublings and 51
// additions with a table of 16 entries (1.5 KB), every entry of which is read for every digit.
// Verification walks the same comb beside signed digits of the other scalar.

// A point (x/z, y/z) with t = x y / z. All coordinates tight.
typedef struct {
    fe x, y, z, t;
} point_t;

// A point as an addend. sum and diff are y + x and y - x, z is 2z, t is 2 d t; an affine one has half of
// each, and so no z at all.
typedef struct {
    fe sum, diff, z, t;
} addend_t;

static void ge_set_zero(point_t *p) {
    fe_set(p->x, 0);
    fe_set(p->y, 1);
    fe_set(p->z, 1);
    fe_set(p->t, 0);
}

// Where doubling, adding and the comb do their work: the caller's, so that it is wiped once and not 102 times.
typedef struct {
    fe a, b, c, d, e, f, g, h;
    uint32_t words[24];
    uint32_t mask[16];
} work_t;

// r = 2 p; r may be p.
static void ge_double(point_t *r, const point_t *p, int want_t, work_t *w) {
    fe_sq(w->a, p->x);
    fe_sq(w->b, p->y);
    fe_sq(w->c, p->z);
    fe_add(w->d, p->x, p->y);
    fe_sq(w->d, w->d);
    // h = a + b, e = h - (x + y)^2, g = a - b, f = 2 z^2 + g: each the negative of its usual meaning
    fe_add(w->h, w->a, w->b);
    fe_sub(w->e, w->h, w->d);
    fe_carry(w->e);
    fe_sub(w->g, w->a, w->b);
    fe_add(w->f, w->c, w->c);
    fe_add(w->f, w->f, w->g); // wide
    fe_mul(r->x, w->f, w->e);
    fe_mul(r->y, w->g, w->h);
    fe_mul(r->z, w->f, w->g);
    if (want_t) {
        fe_mul(r->t, w->e, w->h);
    }
}

// r = p + q where q is affine if `affine`. Complete: right for all pairs of points. r may be p.
static void ge_add(point_t *r, const point_t *p, const addend_t *q, int affine, work_t *w) {
    fe_sub(w->a, p->y, p->x);
    fe_mul(w->a, w->a, q->diff);
    fe_add(w->b, p->y, p->x);
    fe_mul(w->b, w->b, q->sum);
    fe_mul(w->c, p->t, q->t);
    if (affine) {
        fe_copy(w->d, p->z);
    } else {
        fe_mul(w->d, p->z, q->z);
    }
    fe_sub(w->e, w->b, w->a);
    fe_sub(w->f, w->d, w->c);
    fe_add(w->g, w->d, w->c);
    fe_add(w->h, w->b, w->a);
    fe_mul(r->x, w->e, w->f);
    fe_mul(r->y, w->g, w->h);
    fe_mul(r->z, w->f, w->g);
    fe_mul(r->t, w->e, w->h);
}

// Negate for bit 1. t becomes loose.
static void ge_negate_addend(addend_t *q, uint32_t bit) {
    fe zero, minus;
    fe_swap(q->sum, q->diff, bit);
    fe_set(zero, 0);
    fe_sub(minus, zero, q->t);
    fe_swap(q->t, minus, bit);
}

// Digit i of the comb for a scalar recoded by sc_recode: the sum of five signed teeth.
static void comb_digit(addend_t *q, const scalar k, unsigned i, work_t *work) {
    uint32_t *w = work->words;
    uint32_t *mask = work->mask;
    const uint32_t minus = sc_bit(k, i + 204) ^ 1;
    uint32_t index = sc_bit(k, i) | sc_bit(k, i + 51) << 1 | sc_bit(k, i + 102) << 2
        | sc_bit(k, i + 153) << 3;
    index ^= zt_mask(minus) & 15;
    for (uint32_t m = 0; m < 16; m++) {
        mask[m] = zt_mask(((m ^ index) - 1) >> 31);
    }
    for (int j = 0; j < 24; j++) {
        uint32_t v = 0;
        for (int m = 0; m < 16; m++) {
            v |= mask[m] & ZT_COMB[m][j];
        }
        w[j] = v;
    }
    fe_from_words(q->sum, w);
    fe_from_words(q->diff, w + 8);
    fe_from_words(q->t, w + 16);
    ge_negate_addend(q, minus);
}

// r = k B for the base point B. k is any eight words.
static void ge_base(point_t *r, const scalar k) {
    scalar digits;
    addend_t q;
    work_t w;
    sc_recode(digits, k);
    ge_set_zero(r);
    for (unsigned i = 51; i-- > 0;) {
        ge_double(r, r, 1, &w);
        comb_digit(&q, digits, i, &w);
        ge_add(r, r, &q, 1, &w);
    }
    zt_wipe(digits, sizeof(digits));
    zt_wipe(&q, sizeof(q));
    zt_wipe(&w, sizeof(w));
}

static void ge_to_bytes(uint8_t out[32], const point_t *p) {
    struct {
        fe inverse, x, y;
        uint32_t w[8];
    } v;
    fe_invert(v.inverse, p->z);
    fe_mul(v.x, p->x, v.inverse);
    fe_mul(v.y, p->y, v.inverse);
    fe_to_words(v.w, v.x);
    fe_to_bytes(out, v.y);
    out[31] = (uint8_t)(out[31] | (v.w[0] & 1) << 7);
    zt_wipe(&v, sizeof(v));
}

static int fe_equal_vartime(const fe f, const fe g) {
    uint32_t a[8], b[8];
    uint32_t diff = 0;
    fe_to_words(a, f);
    fe_to_words(b, g);
    for (int i = 0; i < 8; i++) {
        diff |= a[i] ^ b[i];
    }
    return diff == 0;
}

// The point with this spelling, its x negated. -1 if there is none or this is not its only spelling.
static int ge_from_bytes_negated_vartime(point_t *p, const uint8_t bytes[32]) {
    fe u, v, w, one, low;
    uint32_t words[8];
    uint8_t again[32];
    const uint32_t sign = bytes[31] >> 7;
    fe_from_bytes(p->y, bytes);
    fe_to_bytes(again, p->y);
    again[31] = (uint8_t)(again[31] | sign << 7);
    if (zt_compare(again, bytes, 32)) {
        return -1;
    }
    // x^2 = u / v = (y^2 - 1) / (d y^2 + 1); the candidate root is u v^3 (u v^7)^((p - 5) / 8)
    fe_set(one, 1);
    fe_sq(u, p->y);
    fe_from_words(v, ZT_D);
    fe_mul(v, v, u);
    fe_sub(u, u, one);
    fe_add(v, v, one);
    fe_sq(w, v);
    fe_mul(w, w, v); // v^3
    fe_sq(p->t, w);
    fe_mul(p->t, p->t, v);
    fe_mul(p->t, p->t, u); // u v^7
    fe_power_ones(p->x, low, p->t);
    fe_sq_times(p->x, p->x, 2);
    fe_mul(p->x, p->x, p->t); // (p - 5) / 8 = (2^250 - 1) 4 + 1
    fe_mul(p->x, p->x, w);
    fe_mul(p->x, p->x, u);
    fe_sq(w, p->x);
    fe_mul(w, w, v); // x^2 v, which is u, or -u if the root is off by a square root of -1
    fe_carry(u);
    if (!fe_equal_vartime(w, u)) {
        fe_add(w, w, u);
        fe_carry(w);
        fe_set(low, 0);
        if (!fe_equal_vartime(w, low)) {
            return -1;
        }
        fe_from_words(w, ZT_SQRT_M1);
        fe_mul(p->x, p->x, w);
    }
    fe_to_words(words, p->x);
    fe_set(low, 0);
    if (sign && fe_equal_vartime(p->x, low)) {
        return -1;
    }
    if ((words[0] & 1) == sign) {
        fe_sub(p->x, low, p->x);
        fe_carry(p->x);
    }
    fe_set(p->z, 1);
    fe_mul(p->t, p->x, p->y);
    return 0;
}

static void ge_to_addend(addend_t *q, const point_t *p) {
    fe two_d;
    fe_from_words(two_d, ZT_2D);
    fe_add(q->sum, p->y, p->x);
    fe_sub(q->diff, p->y, p->x);
    fe_add(q->z, p->z, p->z);
    fe_mul(q->t, p->t, two_d);
}

// Signed digits of width 5 for an n below 2^253: odd, up to 15 either way, at least four zeros between.
static void sc_digits_vartime(int8_t digit[256], const scalar n) {
    uint32_t carry = 0;
    for (unsigned i = 0; i < 256; i++) {
        digit[i] = 0;
        const uint32_t bit = sc_bit(n, i) + carry;
        if (bit != 1) {
            carry = bit / 2;
            continue;
        }
        int value = 1;
        for (unsigned b = 1; b < 5 && i + b < 256; b++) {
            value += (int)sc_bit(n, i + b) << b;
            digit[i + b] = 0;
        }
        carry = value > 15;
        digit[i] = (int8_t)(carry ? value - 32 : value);
        i += 4;
    }
}

// r = s B + h A, t left out. Variable time.
static void ge_two_vartime(point_t *r, const scalar s, const scalar h, const point_t *a) {
    int8_t digit[256];
    addend_t odd[8]; // A, 3A, ... 15A
    addend_t q;
    scalar comb;
    point_t p;
    work_t w;
    sc_digits_vartime(digit, h);
    sc_recode(comb, s);
    ge_to_addend(&q, a);
    odd[0] = q;
    ge_double(&p, a, 1, &w);
    ge_to_addend(&q, &p); // 2A, added to each to get the next
    p = *a;
    for (int i = 1; i < 8; i++) {
        ge_add(&p, &p, &q, 0, &w);
        ge_to_addend(&odd[i], &p);
    }
    ge_set_zero(r);
    for (unsigned i = 256; i-- > 0;) {
        const int d = digit[i];
        ge_double(r, r, d != 0 || i < 51, &w);
        if (d) {
            q = odd[(d < 0 ? -d : d) / 2];
            ge_negate_addend(&q, d < 0);
            ge_add(r, r, &q, 0, &w);
        }
        if (i < 51) {
            comb_digit(&q, comb, i, &w);
            ge_add(r, r, &q, 1, &w);
        }
    }
}

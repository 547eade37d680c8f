// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Keys, agreement and 96-byte signatures, all of it composition.

#include "zt_identity.h"

#include <string.h>

#include "zt_bytes.h"
#include "zt_c25519.h"
#include "zt_sha512.h"

void zt_identity_public(const uint8_t private_key[64], uint8_t public_key[64]) {
    zt_x25519_base(private_key, public_key);
    zt_ed25519_public(private_key + 32, public_key + 32);
}

void zt_identity_agree(const uint8_t private_key[64], const uint8_t public_key[64], uint8_t session[48]) {
    uint8_t hash[64];
    zt_x25519(private_key, public_key, hash);
    zt_sha512(hash, 32, hash);
    memcpy(session, hash, 48);
    zt_wipe(hash, sizeof(hash));
}

void zt_identity_sign(const uint8_t private_key[64], const uint8_t public_key[64], const uint8_t *msg,
    size_t n, uint8_t sig[96]) {
    uint8_t hash[64];
    zt_sha512(msg, n, hash);
    memcpy(sig + 64, hash, 32);
    zt_ed25519_sign(private_key + 32, public_key + 32, sig + 64, 32, sig);
}

int zt_identity_verify_vartime(const uint8_t public_key[64], const uint8_t *msg, size_t n,
    const uint8_t sig[96]) {
    uint8_t hash[64];
    zt_sha512(msg, n, hash);
    if (zt_compare(hash, sig + 64, 32)) {
        return -1;
    }
    return zt_ed25519_verify_vartime(public_key + 32, hash, 32, sig);
}

# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The C files of the core, one a line: read by make and, as text, by cmake.
CORE_SRC += zt_salsa20.c
CORE_SRC += zt_poly1305.c
CORE_SRC += simd/zt_salsa20_wide.c
CORE_SRC += simd/zt_poly1305_wide.c
CORE_SRC += zt_sha512.c
CORE_SRC += zt_c25519.c
CORE_SRC += zt_identity.c
CORE_SRC += zt_idhash.c
CORE_SRC += zt_lz4.c
CORE_SRC += zt_wire.c
CORE_SRC += zt_rules.c
CORE_SRC += zt_plane.c
CORE_SRC += zt_plane_credentials.c
CORE_SRC += zt_plane_event.c
CORE_SRC += zt_plane_judge.c
CORE_SRC += zt_plane_reassembly.c
CORE_SRC += zt_plane_rx.c
CORE_SRC += zt_plane_set.c
CORE_SRC += zt_plane_stats.c
CORE_SRC += zt_plane_table.c
CORE_SRC += zt_plane_tx.c

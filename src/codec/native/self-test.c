/* Built-in vectors, run once at start on the tier in use: a CPU or compiler that gives other bytes must not write any. */
#include "aead.h"
#include "codec.h"
#include <string.h>

static int differs(const uint8_t *a, const char *vector, uint32_t bytes) {
    const char *volatile opaque = vector; /* compared at run time: no compiler may decide what the CPU is asked */
    const char *hex = opaque;
    for (uint32_t i = 0; i < bytes; i++) {
        uint8_t value = 0;
        for (int j = 0; j < 2; j++) {
            char c = hex[2 * i + (uint32_t)j];
            value = (uint8_t)(value << 4 | (c <= '9' ? c - '0' : c - 'a' + 10));
        }
        if (a[i] != value) return 1;
    }
    return 0;
}

/* HighwayHash-256 of "", "a" and 00..20 (on-disk-format.md §10). */
static int hash_vectors(void) {
    uint8_t out[32], bytes[33];
    for (uint32_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)i;
    sherd_hash(bytes, 0, out);
    if (differs(out, "5e76d207cf4ab20866fdc03c83e8a0f4e8f458e880777956ec0bae4e9f23f6c5", 32)) return 1;
    sherd_hash((const uint8_t *)"a", 1, out);
    if (differs(out, "4d6dc44bec31fb10c8f7abac6ee37e0c0a289ee5415af0b814b196ed3c16f194", 32)) return 2;
    sherd_hash(bytes, 33, out);
    if (differs(out, "e0300cc02538626ed1c398901bea1b4b686a7d79f2fada3730985303ab3faf22", 32)) return 3;
    return 0;
}

/* "Hello, erasure world!" in 4+2, parity as published; then every pair of losses is rebuilt and hashed again. */
static int code_vectors(void) {
    static uint64_t plan[4096];
    uint8_t slots[6 * 128], copy[6 * 128];
    const char *text = "Hello, erasure world!";
    const uint64_t stride = 128, bytes = 6;
    if (sherd_plan_bytes() > sizeof plan || sherd_plan_init(plan, 4, 2) != 0) return 10;
    memset(slots, 0, sizeof slots);
    for (uint32_t i = 0; i < 21; i++) slots[i / 6 * stride + 32 + i % 6] = (uint8_t)text[i];
    if (sherd_encode(plan, slots, stride, bytes) != 0) return 11;
    if (differs(slots + 4 * stride + 32, "4571b8583d21", 6) || differs(slots + 5 * stride + 32, "0477e4541682", 6)) return 12;
    if (sherd_verify_slots(slots, stride, bytes, 0x3f) != 0) return 13;
    for (uint32_t a = 0; a < 6; a++)
        for (uint32_t b = a + 1; b < 6; b++) {
            uint32_t want = 1u << a | 1u << b;
            memcpy(copy, slots, sizeof copy);
            memset(copy + a * stride, 0xee, 38);
            memset(copy + b * stride, 0xee, 38);
            if (sherd_rebuild_slots(plan, copy, stride, bytes, (0x3f & ~want) | want << 16, 1) != 0) return 14;
            for (uint32_t i = 0; i < 6; i++)
                if (memcmp(copy + i * stride, slots + i * stride, 38) != 0) return 15;
        }
    return 0;
}

/* A long pattern through the widest kernels: every shard against the byte-wise definition by way of rebuilding. */
static int wide_vectors(void) {
    static uint64_t plan[4096];
    static uint8_t slots[12 * 1088], copy[12 * 1088];
    const uint64_t stride = 1088, bytes = 1031;
    if (sherd_plan_init(plan, 8, 4) != 0) return 20;
    for (uint32_t i = 0; i < 8; i++)
        for (uint32_t j = 0; j < bytes; j++) slots[i * stride + 32 + j] = (uint8_t)(i * 131 + j * 7 + (j >> 8));
    if (sherd_encode(plan, slots, stride, bytes) != 0) return 21;
    memcpy(copy, slots, sizeof copy);
    for (uint32_t i = 0; i < 4; i++) memset(copy + i * stride, 0, 32 + bytes);
    if (sherd_rebuild_slots(plan, copy, stride, bytes, 0xff0u | 0xfu << 16, 1) != 0) return 22;
    for (uint32_t i = 0; i < 12; i++)
        if (memcmp(copy + i * stride, slots + i * stride, 32 + bytes) != 0) return 23;
    copy[3 * stride + 32 + 900] ^= 1;
    return sherd_verify_slots(copy, stride, bytes, 0xfff) == 1u << 3 ? 0 : 24;
}

static int digest_vectors(void) {
    uint64_t state[128];
    uint8_t out[96];
    if (sherd_digest_bytes() > sizeof state) return 30;
    sherd_digest_init(state, 1023);
    sherd_digest_update(state, (const uint8_t *)"123456789", 9);
    sherd_digest_final(state, out);
    if (differs(out, "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225", 32)) return 31;
    if (differs(out + 32, "25f9e794323b453885f5181f1b624d0b", 16)) return 32;
    if (differs(out + 48, "f7c3bc1d808e04732adf679965ccc34ca7ae3441", 20)) return 33;
    if (differs(out + 68, "cbf43926", 4)) return 34;
    if (differs(out + 72, "e3069283", 4)) return 35;
    if (differs(out + 76, "ae8b14860a799888", 8)) return 36;
    sherd_digest_final_more(state, out);
    if (differs(out, "d9e6762dd1c8eaf6d61b3c6192fc408d4d6d5f1176d0c29169bc24e71c3f274a"
                     "d27fcd5811b313d681f7e55ec02d73d499c95455b6b5bb503acf574fba8ffe85", 64)) return 37;
    if (differs(out + 64, "8cb841db40e6ae83", 8)) return 38;
    if (differs(out + 72, "72dcb18b67a17dff", 8)) return 39;
    return differs(out + 80, "33119477ede5dcd5e9716427681d5860", 16) ? 29 : 0;
}

/* The published first messages of AES-256-GCM (key and nonce of zeros); then the widest kernels against the
   portable ones, which the vectors above reach on every tier. */
static int cipher_vectors(void) {
    static uint8_t text[1031], wide[1031], narrow[1031];
    uint64_t stream[SHERD_STREAM_BYTES / 8] = {0};
    uint8_t out[32];
    memset(text, 0, 16);
    sherd_aead_seal(stream, NULL, 0, text, 0, out);
    if (differs(out, "530f8afbc74536b9a963b4f1c4cb738b", 16)) return 40;
    sherd_aead_seal(stream, NULL, 0, text, 16, out);
    if (differs(out, "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919", 32)) return 41;
    for (uint32_t i = 0; i < sizeof text; i++) text[i] = (uint8_t)(i * 7 + (i >> 8));
    struct gcm_key key;
    const struct gcm_kernel *kernel = gcm_kernel_in_use();
    uint64_t a[2] = {3, 5}, b[2] = {3, 5};
    gcm_expand(text, &key);
    kernel->stream(&key.aes, text, 0xfffffff0u, text, wide, sizeof text);
    aes_stream_portable(&key.aes, text, 0xfffffff0u, text, narrow, sizeof text);
    if (memcmp(wide, narrow, sizeof text) != 0) return 42;
    kernel->hash(&key.hash, a, text, sizeof text / 16);
    ghash_portable(&key.hash, b, text, sizeof text / 16);
    return memcmp(a, b, sizeof a) == 0 ? 0 : 43;
}

SHERD_API int32_t sherd_self_test(void) {
    int wrong = hash_vectors();
    if (!wrong) wrong = code_vectors();
    if (!wrong) wrong = wide_vectors();
    if (!wrong) wrong = digest_vectors();
    if (!wrong) wrong = cipher_vectors();
    return wrong;
}

/* glance.c — what most reads of a key need of its files on several drives, found in place: each an xl.meta as it is written today, with one
   version, and all of them the same but for the number of the shard. Whatever is not so is for the reader that takes everything: this one
   refuses, and never reads outside the files. Source: docs/format.md §5.1, §5.2, §5.9. */
#include "codec.h"
#include "digests.h"

#include <stdbool.h>
#include <string.h>

#define PREFIX_BYTES 8
#define CHECKSUM_BYTES 5
#define INDEX_MAX 16

struct piece {
    const uint8_t *at;
    uint64_t bytes;
};

struct sole {
    struct piece header, body, key, data;
};

/* A tag of one of three widths in a row, and as many bytes as it says. */
static bool take_sized(struct piece *rest, uint8_t narrow, struct piece *out) {
    if (rest->bytes < 2 || rest->at[0] < narrow || rest->at[0] > narrow + 2) return false;
    const uint64_t width = (uint64_t)1 << (rest->at[0] - narrow);
    if (rest->bytes < 1 + width) return false;
    uint64_t bytes = 0;
    for (uint64_t i = 1; i <= width; i++) bytes = bytes << 8 | rest->at[i];
    if (rest->bytes - 1 - width < bytes) return false;
    *out = (struct piece){rest->at + 1 + width, bytes};
    *rest = (struct piece){out->at + bytes, rest->bytes - 1 - width - bytes};
    return true;
}

static bool take_bin(struct piece *rest, struct piece *out) { return take_sized(rest, 0xc4, out); }

static bool take_text(struct piece *rest, struct piece *out) {
    if (rest->bytes == 0 || (rest->at[0] & 0xe0) != 0xa0) return take_sized(rest, 0xd9, out);
    const uint64_t bytes = rest->at[0] & 0x1f;
    if (rest->bytes - 1 < bytes) return false;
    *out = (struct piece){rest->at + 1, bytes};
    *rest = (struct piece){out->at + bytes, rest->bytes - 1 - bytes};
    return true;
}

static bool take_bytes(struct piece *rest, const void *expected, uint64_t bytes) {
    if (rest->bytes < bytes || memcmp(rest->at, expected, bytes) != 0) return false;
    *rest = (struct piece){rest->at + bytes, rest->bytes - bytes};
    return true;
}

/* A big-endian uint32, of which the low half of the XXH64 is stored. */
static bool take_checksum(struct piece *rest, struct piece of) {
    struct xxh64 state = {0};
    uint8_t hash[8];
    if (rest->bytes < CHECKSUM_BYTES || rest->at[0] != 0xce) return false;
    xxh64_start(&state);
    xxh64_update(&state, of.at, of.bytes);
    xxh64_final(&state, of.bytes, hash);
    if (memcmp(rest->at + 1, hash + 4, 4) != 0) return false;
    *rest = (struct piece){rest->at + CHECKSUM_BYTES, rest->bytes - CHECKSUM_BYTES};
    return true;
}

/* Headers of version 3, bodies of version 3, one of them. */
static bool find_sole(struct piece file, struct sole *out) {
    struct piece payload;
    if (!take_bytes(&file, "XL2 \1\0\3\0", PREFIX_BYTES) || !take_bin(&file, &payload)) return false;
    if (!take_checksum(&file, payload) || !take_bytes(&payload, "\3\3\1", 3)) return false;
    if (!take_bin(&payload, &out->header) || !take_bin(&payload, &out->body) || payload.bytes != 0) return false;
    out->key = out->data = (struct piece){file.at, 0};
    if (file.bytes == 0) return true;
    return take_bytes(&file, "\1\x81", 2) && take_text(&file, &out->key) && take_bin(&file, &out->data) && file.bytes == 0;
}

static bool is_same(struct piece a, struct piece b) { return a.bytes == b.bytes && memcmp(a.at, b.at, a.bytes) == 0; }

/* Where the shard's number is, in which alone the bodies differ: its offset; 0 = they are the same; -1 = they differ otherwise. */
static int64_t index_at(struct piece a, struct piece b) {
    static const char name[] = "\xa7""EcIndex";
    const uint64_t before = sizeof name - 1;
    uint64_t at = 0;
    if (a.bytes != b.bytes) return -1;
    while (at < a.bytes && a.at[at] == b.at[at]) at++;
    if (at == a.bytes) return 0;
    if (at < before || memcmp(a.at + at - before, name, before) != 0) return -1;
    if (a.at[at] < 1 || a.at[at] > INDEX_MAX || b.at[at] < 1 || b.at[at] > INDEX_MAX) return -1;
    return memcmp(a.at + at + 1, b.at + at + 1, a.bytes - at - 1) == 0 ? (int64_t)at : -1;
}

static void put_piece(uint32_t *out, const uint8_t *base, struct piece piece) {
    out[0] = (uint32_t)(piece.at - base);
    out[1] = (uint32_t)piece.bytes;
}

SHERD_API int32_t sherd_glance(const uint8_t *slots, uint64_t stride, const uint32_t *bytes, uint32_t count, uint32_t *out) {
    struct sole first;
    if (count == 0 || bytes[0] > stride || !find_sole((struct piece){slots, bytes[0]}, &first)) return 0;
    put_piece(out, slots, first.header);
    put_piece(out + 2, slots, first.body);
    put_piece(out + 4, slots, first.key);
    int64_t index = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *base = slots + i * stride;
        struct sole other;
        if (bytes[i] > stride || !find_sole((struct piece){base, bytes[i]}, &other)) return 0;
        if (!is_same(first.header, other.header) || !is_same(first.key, other.key)) return 0;
        const int64_t at = i == 0 ? 0 : index_at(first.body, other.body);
        if (at < 0 || (index != 0 && at != 0 && at != index)) return 0;
        if (at != 0) index = at;
        put_piece(out + 6 + 3 * i, slots, other.data);
        out[8 + 3 * i] = at == 0 ? 0 : other.body.at[at];
    }
    out[8] = index == 0 ? 0 : first.body.at[index];
    return 1;
}

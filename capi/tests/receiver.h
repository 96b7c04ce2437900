/* A device that takes encrypted packages: keys and ciphers are callbacks, which are made of the
 * library's functions in software. Also the vectors of testdata/vectors/encrypted. */
#ifndef RECEIVER_H
#define RECEIVER_H

#define WORK_LEN 65536
#include "device.h"

/* The library with algorithms built in asks for this. */
void fwdelta_panic(void)
{
    fputs("the library panicked\n", stderr);
    abort();
}

/* What a crypto cell would hold: a key, and the content key that it unwrapped. */
struct cell {
    uint8_t kid[8];
    uint8_t key[32];
    size_t key_len;
    int32_t cipher;
    uint8_t content_key[FWDELTA_CONTENT_KEY_LEN];
    fwdelta_sealing sealing;
    unsigned long unwrap_count;
    unsigned long open_count;
};

static int32_t cell_unwrap(void *ctx, const fwdelta_recipient *recipient)
{
    struct cell *cell = ctx;
    cell->unwrap_count++;
    cell->cipher = recipient->cipher;
    return (int32_t)fwdelta_unwrap_key(recipient, cell->kid, cell->key, cell->key_len,
                                       cell->content_key);
}

static int32_t cell_open(void *ctx, const uint8_t nonce[12], const uint8_t *aad, size_t aad_len,
                         uint8_t *data, size_t data_len, const uint8_t tag[16])
{
    struct cell *cell = ctx;
    cell->open_count++;
    return (int32_t)fwdelta_open_chunk(cell->cipher, cell->content_key, nonce, aad, aad_len, data,
                                       data_len, tag);
}

static fwdelta_decryptor decryptor_of(struct cell *cell)
{
    fwdelta_decryptor decryptor = { FWDELTA_ABI_VERSION, NULL, cell_unwrap, cell_open, NULL };
    decryptor.ctx = cell;
    decryptor.sealing = &cell->sealing;
    return decryptor;
}

/* A reset: what was unwrapped is gone, the key is not. */
static void cell_reset(struct cell *cell)
{
    memset(cell->content_key, 0xee, sizeof cell->content_key);
    cell->cipher = 0;
}

static size_t hex_of(const char *text, uint8_t *bytes, size_t room)
{
    size_t len = strlen(text) / 2;
    size_t at;
    CHECK(len <= room);
    for (at = 0; at < len; at++) {
        unsigned byte = 0;
        CHECK(sscanf(text + 2 * at, "%2x", &byte) == 1);
        bytes[at] = (uint8_t)byte;
    }
    return len;
}

/* The key of this name. */
static struct cell cell_of(const char *dir, const char *name)
{
    struct cell cell;
    char path[600];
    char text[256];
    int is_found = 0;
    FILE *file;
    memset(&cell, 0, sizeof cell);
    snprintf(path, sizeof path, "%s/keys.tsv", dir);
    file = fopen(path, "r");
    CHECK(file != NULL);
    while (fgets(text, sizeof text, file) != NULL) {
        char found[64];
        char kid[64];
        char key[80];
        CHECK(sscanf(text, "%63s %63s %79s", found, kid, key) == 3);
        if (strcmp(found, name) == 0) {
            CHECK(hex_of(kid, cell.kid, sizeof cell.kid) == sizeof cell.kid);
            cell.key_len = hex_of(key, cell.key, sizeof cell.key);
            is_found = 1;
        }
    }
    CHECK(is_found && (cell.key_len == 16 || cell.key_len == 32));
    fclose(file);
    return cell;
}

/* A device without a SIM that has a key, or none, the package that is there for it, and the images
 * that all of these packages are of. */
struct receiver {
    struct rig rig;
    struct bytes old_bytes;
    struct bytes new_bytes;
    struct cell cell;
    fwdelta_decryptor decryptor;
};

/* With the key of this name; "-" is none. */
static void receiver_open(struct receiver *receiver, const char *dir, const char *name,
                          const char *key)
{
    char file[80];
    snprintf(file, sizeof file, "%s.suit", name);
    memset(receiver, 0, sizeof *receiver);
    rig_open_bare(&receiver->rig, dir, file);
    receiver->old_bytes = load(dir, "../old.bin");
    receiver->new_bytes = load(dir, "../new.bin");
    if (strcmp(key, "-") != 0) {
        receiver->cell = cell_of(dir, key);
        receiver->decryptor = decryptor_of(&receiver->cell);
        receiver->rig.update.decryptor = &receiver->decryptor;
    }
}

static void receiver_close(struct receiver *receiver)
{
    rig_close(&receiver->rig);
    free(receiver->old_bytes.data);
    free(receiver->new_bytes.data);
}

/* Verifies the package; its delta, with what was kept of its encryption in the cell. */
static fwdelta_status receiver_delta(struct receiver *receiver, fwdelta_delta *delta)
{
    struct rig *rig = &receiver->rig;
    return fwdelta_delta_of_package(&rig->update, 0, NULL, 0, delta, &rig->error);
}

/* Lines NAME, KEY, EXPECT of an index; 0 at its end. */
static int next_line(FILE *index, char name[64], char key[64], unsigned *expect)
{
    char text[256];
    if (fgets(text, sizeof text, index) == NULL) {
        return 0;
    }
    CHECK(sscanf(text, "%63s %63s %u", name, key, expect) == 3);
    return 1;
}

static FILE *index_of(const char *dir, const char *name, const char *header)
{
    char text[600];
    FILE *index;
    snprintf(text, sizeof text, "%s/%s", dir, name);
    index = fopen(text, "r");
    CHECK(index != NULL && fgets(text, sizeof text, index) != NULL);
    CHECK(strcmp(text, header) == 0);
    return index;
}

#endif

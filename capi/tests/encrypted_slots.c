/* Encrypted packages that go to a slot of their own with checkpoints, from C: power cuts at many
 * moments, chunks that somebody changed, a device that loses its key half-way. Linked with the
 * library that has all algorithms.
 *
 * encrypted_slots TESTDATA */
#include "receiver.h"
#include "nor.h"

/* Bytes of the new image from one checkpoint to the next: some ten of them in all. */
#define INTERVAL 100

/* An update, its chips, and what a boot loader has of it. */
struct bench {
    struct receiver receiver;
    struct board board;
    struct nor slot;
    struct nor scratch;
    fwdelta_flash slot_table;
    fwdelta_flash scratch_table;
    fwdelta_delta delta;
    fwdelta_two_slots_state state;
    fwdelta_two_slots update;
    fwdelta_error error;
    /* the receiver's */
    struct bytes new_bytes;
    uint8_t *payload;
    /* where the last start went on, and bytes of payload that it was fed */
    fwdelta_resume_at at;
    uint64_t fed_len;
    /* starts that went on behind the start */
    long resumed_count;
    /* the old image where the new one goes, NULL if it is elsewhere */
    const struct bytes *in_slot;
};

#include "bench_two_slots.h"

static void bench_flash(struct bench *bench)
{
    struct rig *rig = &bench->receiver.rig;
    uint64_t scratch_len = 0;
    CHECK(fwdelta_two_slots_scratch_len(&bench->delta, &rig->limits, 256, 8, rig->work,
                                        sizeof rig->work, &scratch_len, &rig->error)
          == FWDELTA_OK);
    bench->board = board_of();
    bench->slot = nor_of(&bench->board, bench->new_bytes.len, 128, 8, 0xff);
    bench->scratch = nor_of(&bench->board, (size_t)scratch_len, 256, 8, 0xff);
}

/* Verifies the package. */
static void bench_open(struct bench *bench, const char *dir, const char *name, const char *key)
{
    struct receiver *receiver = &bench->receiver;
    fwdelta_two_slots *update = &bench->update;
    memset(bench, 0, sizeof *bench);
    receiver_open(receiver, dir, name, key);
    bench->new_bytes = receiver->new_bytes;
    CHECK(receiver_delta(receiver, &bench->delta) == FWDELTA_OK && bench->delta.cipher != 0);
    bench_flash(bench);
    bench->payload = receiver->rig.package_bytes.data + bench->delta.payload_pos;
    update->interval = INTERVAL;
    update->limits = &receiver->rig.limits;
    update->decryptor = &receiver->decryptor;
    update->work = receiver->rig.work;
    update->work_len = sizeof receiver->rig.work;
    receiver->cell.unwrap_count = 0;
    bench_connect(bench);
    bench_renew(bench);
}

static void bench_close(struct bench *bench)
{
    nor_free(&bench->slot);
    nor_free(&bench->scratch);
    receiver_close(&bench->receiver);
}

/* What the cell unwrapped before is gone. */
static fwdelta_status boot(struct bench *bench)
{
    cell_reset(&bench->receiver.cell);
    return boot_fed(bench, 50, UINT64_MAX);
}

/* Refused with this number; the journal does not say that there is a new image, nor can that be
 * confirmed. */
static void never_confirmed(struct bench *bench, uint16_t detail)
{
    uint32_t found = 99;
    CHECK(says(&bench->error, boot(bench), detail) && bench->error.old_intact == 1);
    CHECK(fwdelta_two_slots_finish(&bench->update, &bench->error) != FWDELTA_OK);
    CHECK(look(bench, &found) == FWDELTA_OK && found != FWDELTA_FOUND_DONE);
    bench_reset(bench);
}

/* The content key is unwrapped anew at each start, and the update goes on at a chunk. */
static void power_cuts(struct bench *bench)
{
    long count = undisturbed(bench);
    CHECK(bench->receiver.cell.unwrap_count == 1 && bench->receiver.cell.open_count > 5);
    resuming_cuts(bench, count, moment_count(60));
}

/* A start that the power ends three quarters on. */
static void most_of_the_way(struct bench *bench)
{
    long count;
    bench_renew(bench);
    boots(bench);
    count = bench->board.operation_count;
    bench_renew(bench);
    bench->board.cut_at = count * 3 / 4;
    CHECK(boot(bench) == FWDELTA_STORAGE);
    bench_reset(bench);
}

/* Somebody changes a chunk that is still to come, at any byte: another hash than the chunk before
 * it has. As often as the device starts, nothing of it is written; with what the vendor sent the
 * update goes on. */
static void changed_chunks(struct bench *bench)
{
    uint64_t at;
    uint64_t from;
    uint64_t new_pos;
    most_of_the_way(bench);
    boots(bench);
    from = bench->at.payload_pos;
    new_pos = bench->at.new_pos;
    CHECK(from > 0 && new_pos >= INTERVAL && from < bench->delta.payload_len);
    for (at = from; at < bench->delta.payload_len; at += 7) {
        most_of_the_way(bench);
        bench->payload[at] ^= 0x40;
        never_confirmed(bench, FWDELTA_E_CHUNK_DIGEST);
        never_confirmed(bench, FWDELTA_E_CHUNK_DIGEST);
        bench->payload[at] ^= 0x40;
        boots(bench);
        CHECK(bench->at.new_pos >= new_pos);
    }
}

/* A device that lost its key, or has another one by now, writes nothing, and loses nothing. */
static void without_the_key(struct bench *bench)
{
    most_of_the_way(bench);
    bench->update.decryptor = NULL;
    never_confirmed(bench, FWDELTA_E_NOT_RECIPIENT);
    bench->update.decryptor = &bench->receiver.decryptor;
    bench->receiver.cell.key[5] ^= 1;
    CHECK(says(&bench->error, boot(bench), FWDELTA_E_NOT_DECRYPTED));
    CHECK(bench->error.old_intact == 1 && bench->board.operation_count == 0);
    bench_reset(bench);
    bench->receiver.cell.key[5] ^= 1;
    boots(bench);
    CHECK(bench->at.new_pos >= INTERVAL);
    bench_renew(bench);
    bench->update.decryptor = NULL;
    never_confirmed(bench, FWDELTA_E_NOT_RECIPIENT);
    CHECK(bench->board.operation_count == 0);
    bench->update.decryptor = &bench->receiver.decryptor;
    boots(bench);
}

static void accepted(struct bench *bench, const char *dir, const char *name, const char *key)
{
    bench_open(bench, dir, name, key);
    power_cuts(bench);
    changed_chunks(bench);
    without_the_key(bench);
    bench_close(bench);
}

/* Chunks that the vendor's key vouches for and no tag: refused as often as the device starts. */
static void tags(struct bench *bench, const char *dir, const char *name, const char *key)
{
    fwdelta_delta delta;
    receiver_open(&bench->receiver, dir, name, key);
    if (receiver_delta(&bench->receiver, &delta) != FWDELTA_OK) {
        /* The content key itself: found before there is a delta. */
        CHECK(bench->receiver.rig.error.detail == FWDELTA_E_NOT_DECRYPTED);
        receiver_close(&bench->receiver);
        return;
    }
    receiver_close(&bench->receiver);
    bench_open(bench, dir, name, key);
    never_confirmed(bench, FWDELTA_E_NOT_DECRYPTED);
    never_confirmed(bench, FWDELTA_E_NOT_DECRYPTED);
    CHECK(!nor_holds(&bench->slot, &bench->new_bytes));
    bench_close(bench);
}

int main(int argc, char **argv)
{
    static struct bench bench;
    char dir[512];
    char name[64];
    char key[64];
    unsigned expect;
    int accepted_count = 0;
    int refused_count = 0;
    FILE *index;
    CHECK(argc == 2);
    snprintf(dir, sizeof dir, "%s/vectors/encrypted", argv[1]);
    index = index_of(dir, "index.tsv", "name\tkey\texpect\n");
    while (next_line(index, name, key, &expect)) {
        if (expect == 0) {
            accepted(&bench, dir, name, key);
            accepted_count++;
        } else if (expect == FWDELTA_E_NOT_DECRYPTED) {
            tags(&bench, dir, name, key);
            refused_count++;
        }
    }
    fclose(index);
    CHECK(accepted_count == 4 && refused_count == 10);
    return passed("encrypted_slots");
}

/* An update agent on Linux: verifies a package, then writes the new image beside the old one, or
 * over it.
 *
 *   linux slot PACKAGE TRUST OLD NEW          NEW appears whole or not at all; after a power cut
 *                                             or a kill the same once more goes on
 *   linux in-place PACKAGE TRUST IMAGE JOURNAL    the same, until it gives 0, or 16: then it was
 *                                             done before
 *
 * OLD, NEW and IMAGE are files or block devices (a block device is not renamed: give `slot` a file
 * in the same file system as NEW, `in-place` any). Linked with the library that has the built-in
 * Ed25519. Long because both kinds of update are shown.
 *
 * SPDX-License-Identifier: MIT
 */
#define _POSIX_C_SOURCE 200809L
#define _FILE_OFFSET_BITS 64

#include "fwdelta.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The library with the built-in Ed25519 asks for this. */
void fwdelta_panic(void)
{
    abort();
}

/* ---- Files as media. The context is the file's descriptor. */

/* Never short: read() may be. */
static int32_t file_read(void *ctx, uint64_t pos, uint8_t *buf, size_t len)
{
    const int *fd = ctx;
    while (len > 0) {
        ssize_t count = pread(*fd, buf, len, (off_t)pos);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            return count < 0 && errno == EIO ? 1 : 2;
        }
        buf += count;
        pos += (uint64_t)count;
        len -= (size_t)count;
    }
    return 0;
}

static int32_t file_program(void *ctx, uint64_t pos, const uint8_t *data, size_t len)
{
    const int *fd = ctx;
    while (len > 0) {
        ssize_t count = pwrite(*fd, data, len, (off_t)pos);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            return 2;
        }
        data += count;
        pos += (uint64_t)count;
        len -= (size_t)count;
    }
    return 0;
}

/* Not called: nothing is erased before it is written. */
static int32_t file_erase(void *ctx, uint32_t sector)
{
    (void)ctx;
    (void)sector;
    return 2;
}

/* Data and length, not the times. The caller made the name durable. */
static int32_t file_sync(void *ctx)
{
    const int *fd = ctx;
    return fdatasync(*fd) == 0 ? 0 : 2;
}

static fwdelta_source source_of(int *fd)
{
    fwdelta_source source = { FWDELTA_ABI_VERSION, NULL, file_read };
    source.ctx = fd;
    return source;
}

static fwdelta_flash flash_of(int *fd, uint64_t len)
{
    fwdelta_flash flash;
    memset(&flash, 0, sizeof flash);
    flash.abi = FWDELTA_ABI_VERSION;
    flash.sector_len = 1;
    flash.len = len;
    flash.write_len = 1;
    flash.ctx = fd;
    flash.read = file_read;
    flash.erase = file_erase;
    flash.program = file_program;
    flash.sync = file_sync;
    return flash;
}

/* ---- Small helpers. */

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int open_file(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);
    if (fd < 0) {
        fail(path);
    }
    return fd;
}

static uint64_t len_of(int fd, const char *path)
{
    off_t len = lseek(fd, 0, SEEK_END); /* of a block device too */
    if (len < 0) {
        fail(path);
    }
    return (uint64_t)len;
}

static uint8_t *allocate(uint64_t len)
{
    uint8_t *memory = len <= SIZE_MAX ? malloc(len > 0 ? (size_t)len : 1) : NULL;
    if (memory == NULL) {
        fail("memory");
    }
    return memory;
}

/* A name is durable when its folder is. */
static void sync_folder(const char *path)
{
    char copy[4096];
    int fd;
    if (snprintf(copy, sizeof copy, "%s", path) >= (int)sizeof copy) {
        errno = ENAMETOOLONG;
        fail(path);
    }
    fd = open_file(dirname(copy), O_RDONLY | O_DIRECTORY);
    if (fsync(fd) != 0) {
        fail(path);
    }
    close(fd);
}

/* A removal is durable when its folder is, too. */
static void forget(const char *path)
{
    if (unlink(path) != 0 && errno != ENOENT) {
        fail(path);
    }
    sync_folder(path);
}

static const char *beside(char *buf, size_t len, const char *path, const char *end)
{
    if (snprintf(buf, len, "%s%s", path, end) >= (int)len) {
        errno = ENAMETOOLONG;
        fail(path);
    }
    return buf;
}

/* A file of at least `len` bytes, under a durable name. */
static int open_room(const char *path, uint64_t len)
{
    int fd = open_file(path, O_RDWR | O_CREAT);
    if (len_of(fd, path) < len && ftruncate(fd, (off_t)len) != 0) {
        fail(path);
    }
    if (fsync(fd) != 0) {
        fail(path);
    }
    sync_folder(path);
    return fd;
}

/* An image in a file ends where it ends; a block device stays as long as it is. */
static void cut_image(int fd, const char *path, uint64_t len)
{
    struct stat stat;
    if (fstat(fd, &stat) != 0 || (S_ISREG(stat.st_mode) && ftruncate(fd, (off_t)len) != 0)
        || fsync(fd) != 0) {
        fail(path);
    }
}

/* The error's category is the exit code, plus ten as the command has it. */
static int report(const char *what, const fwdelta_error *error)
{
    fprintf(stderr, "%s: %u %s, old image %s\n", what, (unsigned)error->detail,
            fwdelta_error_name(error->detail), error->old_intact ? "intact" : "not intact");
    return 10 + error->category;
}

/* ---- The package. */

struct opened {
    int package_fd;
    fwdelta_source package;
    fwdelta_device device;
    fwdelta_limits limits;
    fwdelta_update update;
};

/* Nothing is verified yet. A modem would tell device.sim, and a file device.sequence. */
static void open_package(struct opened *opened, const char *package, const char *trust)
{
    int trust_fd = open_file(trust, O_RDONLY);
    uint64_t trust_len = len_of(trust_fd, trust);
    uint8_t *anchor = allocate(trust_len);
    memset(opened, 0, sizeof *opened);
    if (file_read(&trust_fd, 0, anchor, (size_t)trust_len) != 0) {
        fail(trust);
    }
    close(trust_fd);
    fwdelta_limits_linux(&opened->limits);
    opened->package_fd = open_file(package, O_RDONLY);
    opened->package = source_of(&opened->package_fd);
    opened->device.abi = FWDELTA_ABI_VERSION;
    opened->device.sim = FWDELTA_SIM_WITHOUT_FOTA;
    opened->update.abi = FWDELTA_ABI_VERSION;
    opened->update.package = &opened->package;
    opened->update.package_len = len_of(opened->package_fd, package);
    opened->update.trust = anchor;
    opened->update.trust_len = (size_t)trust_len;
    opened->update.device = &opened->device;
    opened->update.limits = &opened->limits;
    opened->update.envelope_buf = allocate(opened->limits.envelope_len);
    opened->update.envelope_buf_len = opened->limits.envelope_len;
    opened->update.work_len = 65536;
    opened->update.work = allocate(opened->update.work_len);
}

static void close_package(struct opened *opened)
{
    close(opened->package_fd);
    free((void *)(uintptr_t)opened->update.trust);
    free(opened->update.envelope_buf);
    free(opened->update.work);
}

/* Verifies the package: signatures, policy, payload. Gives 0, its delta, and the sequence number
 * that is to be stored once the new image has proved itself; else an exit code. */
static int verify_package(const char *package, const char *trust, fwdelta_delta *delta,
                          uint64_t *sequence)
{
    struct opened opened;
    fwdelta_summary summary;
    fwdelta_error error;
    fwdelta_status status;
    open_package(&opened, package, trust);
    status = fwdelta_verify(&opened.update, &summary, NULL, 0, &error);
    if (status == FWDELTA_OK) {
        *sequence = summary.sequence;
        status = fwdelta_delta_of_package(&opened.update, 0, NULL, 0, delta, &error);
    }
    close_package(&opened);
    if (status == FWDELTA_OK && summary.component_count != 1) {
        fprintf(stderr, "%s: has %u components; this agent updates one\n", package,
                (unsigned)summary.component_count);
        return 2;
    }
    return status == FWDELTA_OK ? 0 : report(package, &error);
}

/* ---- Two slots: a part file and a journal, then one rename.
 *
 * The order of what becomes durable:
 *   that no journal is there, before an empty part file is: it may say "done";
 *   the names of part file and journal, before the first checkpoint;
 *   what was written to the part file, before the checkpoint that says so (by the library);
 *   the new image's name, before the journal goes. */

/* Bytes of the new image that are made again at most, after a cut. Whenever as many are written the
 * disk is waited for. */
#ifndef CHECKPOINT_LEN
#define CHECKPOINT_LEN (1u << 20)
#endif

/* Feeds the payload from `pos` on. One that comes over a network could be asked for from there. */
static fwdelta_status feed_payload(const fwdelta_two_slots *update, int *package_fd, uint64_t pos,
                                   fwdelta_error *error)
{
    const fwdelta_delta *delta = update->delta;
    uint8_t buf[4096];
    size_t start = 0;
    size_t end = 0;
    uint32_t wish = FWDELTA_STREAM_NEEDS_INPUT;
    fwdelta_status status = FWDELTA_OK;
    while (status == FWDELTA_OK && wish != FWDELTA_STREAM_DONE) {
        size_t taken = 0;
        if (start == end) {
            uint64_t left = delta->payload_len - pos;
            start = 0;
            end = left < sizeof buf ? (size_t)left : sizeof buf;
            if (file_read(package_fd, delta->payload_pos + pos, buf, end) != 0) {
                fail("payload");
            }
            pos += end;
        }
        status = fwdelta_two_slots_feed(update, buf + start, end - start, &taken, &wish, error);
        start += taken;
    }
    return status;
}

/* Writes the new image, or goes on with it. */
static fwdelta_status write_slot(const fwdelta_two_slots *update, int *package_fd,
                                 fwdelta_error *error)
{
    fwdelta_resume_at at = { 0, 0 };
    uint32_t found = FWDELTA_FOUND_NOTHING;
    fwdelta_status status = fwdelta_two_slots_look(update, &found, error);
    if (status != FWDELTA_OK || found == FWDELTA_FOUND_DONE) {
        return status;
    }
    status = found == FWDELTA_FOUND_BEGUN ? fwdelta_two_slots_resume(update, &at, error)
                                          : fwdelta_two_slots_begin(update, error);
    if (status == FWDELTA_OK) {
        printf("from byte %llu on\n", (unsigned long long)at.new_pos);
        status = feed_payload(update, package_fd, at.payload_pos, error);
    }
    return status == FWDELTA_OK ? fwdelta_two_slots_finish(update, error) : status;
}

/* What a run has open, and where its journal is. */
struct slot_files {
    int package_fd;
    int old_fd;
    uint64_t old_len;
    int part_fd;
    const char *journal;
};

static fwdelta_status fill_slot(const fwdelta_delta *delta, const fwdelta_delta_info *info,
                                struct slot_files *files, fwdelta_error *error)
{
    static fwdelta_two_slots_state state;
    fwdelta_limits limits;
    fwdelta_two_slots update;
    uint64_t scratch_len = 0;
    fwdelta_status status;
    fwdelta_source old = source_of(&files->old_fd);
    fwdelta_flash slot = flash_of(&files->part_fd, info->new_len);
    fwdelta_flash scratch;
    int journal_fd;
    fwdelta_limits_linux(&limits);
    memset(&update, 0, sizeof update);
    update.abi = FWDELTA_ABI_VERSION;
    update.delta = delta;
    update.old = &old;
    update.old_len = files->old_len;
    update.slot = &slot;
    update.scratch = &scratch;
    update.interval = CHECKPOINT_LEN;
    update.limits = &limits;
    update.state = &state;
    update.work = allocate(info->work_len);
    update.work_len = (size_t)info->work_len;
    status = fwdelta_two_slots_scratch_len(delta, &limits, 1, 1, update.work, update.work_len,
                                           &scratch_len, error);
    if (status == FWDELTA_OK) {
        journal_fd = open_room(files->journal, scratch_len);
        scratch = flash_of(&journal_fd, scratch_len);
        status = write_slot(&update, &files->package_fd, error);
        close(journal_fd);
    }
    free(update.work);
    return status;
}

/* The package is verified by every run: nothing is lost if policy says otherwise by now. A journal
 * that is another package's, or another decision's, is found to say nothing. */
static int to_slot(const char *package, const char *trust, const char *old_path,
                   const char *new_path)
{
    char part[4096];
    char journal[4096];
    struct slot_files files;
    fwdelta_delta delta;
    fwdelta_delta_info info;
    fwdelta_limits limits;
    fwdelta_error error;
    fwdelta_status status;
    uint64_t sequence = 0;
    int code = verify_package(package, trust, &delta, &sequence);
    if (code != 0) {
        return code;
    }
    beside(part, sizeof part, new_path, ".part");
    files.journal = beside(journal, sizeof journal, new_path, ".journal");
    fwdelta_limits_linux(&limits);
    status = fwdelta_delta_read(&delta, &limits, &info, &error);
    if (status != FWDELTA_OK) {
        return report(package, &error);
    }
    files.package_fd = open_file(package, O_RDONLY);
    files.old_fd = open_file(old_path, O_RDONLY);
    files.old_len = len_of(files.old_fd, old_path);
    if (access(part, F_OK) != 0) {
        forget(journal);
    }
    files.part_fd = open_room(part, info.new_len);
    status = fill_slot(&delta, &info, &files, &error);
    if (status == FWDELTA_OK) {
        cut_image(files.part_fd, part, info.new_len);
    }
    close(files.package_fd);
    close(files.old_fd);
    close(files.part_fd);
    if (status != FWDELTA_OK) {
        if (error.category != FWDELTA_STORAGE) {
            forget(journal); /* what it leads to is not the new image: begin anew */
            unlink(part);
        }
        return report(package, &error);
    }
    /* The content is durable; then the name. */
    if (rename(part, new_path) != 0) {
        fail(new_path);
    }
    sync_folder(new_path);
    forget(journal);
    printf("%llu bytes; store sequence %llu once it has proved itself\n",
           (unsigned long long)info.new_len, (unsigned long long)sequence);
    return 0;
}

/* ---- In place: a request and a journal.
 *
 * The order of what becomes durable:
 *   that no journal is there, before the request;
 *   the request, whole and under its name, before the first checkpoint;
 *   the journal's name before its content counts;
 *   the new image and its length before the request goes;
 *   the request before the journal: a journal without a request is litter, a request without a
 *   journal would be begun anew on an image that is no longer old. */

/* Verifies the package and leaves a request, from when on policy is not asked again. */
static int make_request(const char *package, const char *trust, const char *path,
                        fwdelta_delta *delta)
{
    char part_path[4096];
    uint64_t sequence = 0;
    int code = verify_package(package, trust, delta, &sequence);
    int fd;
    if (code != 0) {
        return code;
    }
    fd = open_file(beside(part_path, sizeof part_path, path, ".part"), O_RDWR | O_CREAT | O_TRUNC);
    if (file_program(&fd, 0, (const uint8_t *)delta, sizeof *delta) != 0 || file_sync(&fd) != 0
        || rename(part_path, path) != 0) {
        fail(path);
    }
    close(fd);
    sync_folder(path);
    return 0;
}

static fwdelta_status step_to_end(const fwdelta_in_place *update, fwdelta_error *error)
{
    fwdelta_step step = { 0, 0, 0 };
    fwdelta_status status = FWDELTA_OK;
    while (status == FWDELTA_OK && !step.done) {
        status = fwdelta_in_place_step(update, &step, error);
    }
    return status;
}

static fwdelta_status rehearse_and_begin(const fwdelta_in_place *update, fwdelta_error *error)
{
    fwdelta_status status = fwdelta_in_place_rehearse(update, error);
    if (status == FWDELTA_OK) {
        status = step_to_end(update, error);
    }
    return status == FWDELTA_OK ? fwdelta_in_place_begin(update, error) : status;
}

static fwdelta_status rewrite(const fwdelta_in_place *update, fwdelta_error *error)
{
    uint32_t found = FWDELTA_FOUND_NOTHING;
    fwdelta_status status = fwdelta_in_place_look(update, &found, error);
    if (status != FWDELTA_OK || found == FWDELTA_FOUND_DONE) {
        return status;
    }
    status = found == FWDELTA_FOUND_BEGUN ? fwdelta_in_place_resume(update, error)
                                          : rehearse_and_begin(update, error);
    if (status == FWDELTA_OK) {
        status = step_to_end(update, error);
    }
    return status == FWDELTA_OK ? fwdelta_in_place_finish(update, error) : status;
}

/* Rewrites the image as `delta` says, or goes on with it. */
static fwdelta_status apply_request(const fwdelta_delta *delta, const fwdelta_delta_info *info,
                                    int *package_fd, int *image_fd, const char *journal,
                                    fwdelta_error *error)
{
    static fwdelta_state state;
    fwdelta_limits limits;
    fwdelta_in_place update;
    uint64_t scratch_len = 0;
    fwdelta_status status;
    fwdelta_source payload = source_of(package_fd);
    fwdelta_flash slot = flash_of(image_fd, info->slot_len);
    fwdelta_flash scratch;
    int journal_fd;
    fwdelta_limits_linux(&limits);
    memset(&update, 0, sizeof update);
    update.abi = FWDELTA_ABI_VERSION;
    update.delta = delta;
    update.slot = &slot;
    update.scratch = &scratch;
    update.payload = &payload;
    update.limits = &limits;
    update.state = &state;
    update.work = allocate(info->work_len);
    update.work_len = (size_t)info->work_len;
    status = fwdelta_in_place_scratch_len(delta, &limits, 1, update.work, update.work_len,
                                          &scratch_len, error);
    if (status == FWDELTA_OK) {
        journal_fd = open_room(journal, scratch_len);
        scratch = flash_of(&journal_fd, scratch_len);
        status = rewrite(&update, error);
        close(journal_fd);
    }
    free(update.work);
    return status;
}

/* The delta that is asked for, by an earlier run or by this one. */
static int find_request(const char *package, const char *trust, const char *journal,
                        const char *request, fwdelta_delta *delta)
{
    int fd = open(request, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        forget(journal); /* of an earlier update, if it is there: it may say "done" */
        return make_request(package, trust, request, delta);
    }
    if (file_read(&fd, 0, (uint8_t *)delta, sizeof *delta) != 0) {
        fail(request);
    }
    close(fd);
    return 0;
}

static int in_place(const char *package, const char *trust, const char *image,
                    const char *journal)
{
    fwdelta_delta delta;
    fwdelta_delta_info info;
    fwdelta_limits limits;
    fwdelta_error error;
    fwdelta_status status;
    char request[4096];
    int package_fd = open_file(package, O_RDONLY);
    int image_fd = open_file(image, O_RDWR);
    int code = find_request(package, trust, journal,
                            beside(request, sizeof request, journal, ".request"), &delta);
    if (code != 0) {
        return code;
    }
    fwdelta_limits_linux(&limits);
    status = fwdelta_delta_read(&delta, &limits, &info, &error);
    if (status == FWDELTA_OK) {
        status = apply_request(&delta, &info, &package_fd, &image_fd, journal, &error);
    }
    if (status != FWDELTA_OK) {
        if (error.old_intact || error.category == FWDELTA_WRONG_OLD) {
            unlink(request); /* nothing was begun: another package may come */
        }
        return report(image, &error);
    }
    cut_image(image_fd, image, info.new_len);
    forget(request);
    unlink(journal);
    close(package_fd);
    close(image_fd);
    printf("%s: %llu bytes in place\n", image, (unsigned long long)info.new_len);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 6 && strcmp(argv[1], "slot") == 0) {
        return to_slot(argv[2], argv[3], argv[4], argv[5]);
    }
    if (argc == 6 && strcmp(argv[1], "in-place") == 0) {
        return in_place(argv[2], argv[3], argv[4], argv[5]);
    }
    fprintf(stderr, "usage: %s slot PACKAGE TRUST OLD NEW\n"
                    "       %s in-place PACKAGE TRUST IMAGE JOURNAL\n", argv[0], argv[0]);
    return 2;
}

/*
 * fwdelta: verify and apply firmware update packages on a device.
 *
 * Rules for everything in this file:
 *  - No allocation, no globals, no I/O: memory and storage are the caller's.
 *  - A function returns a category, 0 (FWDELTA_OK) to 10, and never half a result: what an `out`
 *    pointer points to is written on success only, `error` always. `error` may be NULL.
 *  - NULL where it is not allowed, a misaligned pointer, a table with another `abi` or without a
 *    callback give FWDELTA_USAGE. Otherwise pointers are trusted: a length must be true, and
 *    buffers must neither overlap nor change during a call.
 *  - Callbacks return 0 for success. They must not call back into this library with the same
 *    buffers, nor leave it by longjmp or exception.
 *  - Calls with different buffers may run at the same time.
 *  - Numbers are in the byte order of the machine, lengths and positions in bytes.
 *
 * What each check means, and their order, is docs/format.md; docs/c-api.md has an example.
 * SPDX-License-Identifier: MIT
 */
#ifndef FWDELTA_H
#define FWDELTA_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Version of this interface; goes into the field `abi` of every table. */
#define FWDELTA_ABI_VERSION 3u
/* Components in one package at most. */
#define FWDELTA_COMPONENT_COUNT_MAX 8u
/* Components at most of which a device says what is installed. */
#define FWDELTA_INSTALLED_COUNT_MAX 8u
/* Bytes of a record of the SIM in non-volatile memory. */
#define FWDELTA_HANDOFF_LEN 40u
/* Bytes of a record of what became of a package. */
#define FWDELTA_RESULT_LEN 56u
/* Bytes of a SIM's file EF_FOTA. */
#define FWDELTA_EF_FOTA_LEN 17u
/* Room for a PLMN as text, terminating zero included. */
#define FWDELTA_PLMN_LEN 8u
/* Bytes of a delta header at most. */
#define FWDELTA_HEADER_LEN_MAX 512u
/* Words of a fwdelta_state. */
#define FWDELTA_STATE_WORD_COUNT 512u
/* Words of a fwdelta_stream_state. */
#define FWDELTA_STREAM_WORD_COUNT 640u
/* Words of a fwdelta_two_slots_state. */
#define FWDELTA_TWO_SLOTS_WORD_COUNT 672u
/* Bytes of room for a content key; A128GCM uses the first 16. */
#define FWDELTA_CONTENT_KEY_LEN 32u
/* fwdelta_error.component of an error that is not about one component. */
#define FWDELTA_NO_COMPONENT UINT32_MAX

/* What functions return: whose fault it is. */
typedef uint32_t fwdelta_status;

enum fwdelta_category {
    FWDELTA_OK = 0,
    /* bytes malformed or not canonical */
    FWDELTA_FORMAT = 1,
    /* well-formed, but newer than this library */
    FWDELTA_UNSUPPORTED = 2,
    /* declares more than the limits allow */
    FWDELTA_LIMIT = 3,
    /* not authentic */
    FWDELTA_SIGNATURE = 4,
    /* authentic, but refused */
    FWDELTA_POLICY = 5,
    /* the old image is not the one named */
    FWDELTA_WRONG_OLD = 6,
    /* a chunk, payload or result does not match its digest */
    FWDELTA_CORRUPT = 7,
    /* a driver failed or a payload is missing; trying again is legal */
    FWDELTA_STORAGE = 8,
    /* the caller misused this interface */
    FWDELTA_USAGE = 9,
    /* an internal invariant does not hold */
    FWDELTA_BUG = 10
};

/* The rule that was broken; its hundreds are the category. */
enum fwdelta_detail {
    /* the bytes end inside an item */
    FWDELTA_E_TRUNCATED = 101,
    /* not in deterministic CBOR: longer than needed, indefinite or out of order */
    FWDELTA_E_NOT_CANONICAL = 102,
    /* a map key occurs twice */
    FWDELTA_E_DUPLICATE_KEY = 103,
    /* an item has another CBOR type than the format says */
    FWDELTA_E_WRONG_TYPE = 104,
    /* bytes follow the end of the structure */
    FWDELTA_E_TRAILING_BYTES = 105,
    /* the CBOR tag is not the one required here */
    FWDELTA_E_BAD_TAG = 106,
    /* a text string is not UTF-8 */
    FWDELTA_E_BAD_UTF8 = 107,
    /* an integrated payload is not referenced by the manifest or an approval */
    FWDELTA_E_UNREFERENCED_PAYLOAD = 108,
    /* a required field is absent */
    FWDELTA_E_MISSING_FIELD = 109,
    /* a value is outside the range of its field */
    FWDELTA_E_BAD_VALUE = 110,
    /* the delta header contradicts the manifest */
    FWDELTA_E_HEADER_MISMATCH = 111,
    /* two components have the same name */
    FWDELTA_E_DUPLICATE_COMPONENT = 112,
    /* not a file of this kind */
    FWDELTA_E_BAD_MAGIC = 113,
    /* a cover or literal reaches outside the old or the new image */
    FWDELTA_E_BAD_COVER = 114,
    /* the coded stream is not valid or does not end where it should */
    FWDELTA_E_BAD_STREAM = 115,
    /* two authentication blocks carry the same key id or approval */
    FWDELTA_E_DUPLICATE_BLOCK = 116,
    /* vendor blocks disagree about the operator requirement */
    FWDELTA_E_VENDORS_DISAGREE = 117,
    /* a PLMN is not five or six decimal digits */
    FWDELTA_E_BAD_PLMN = 118,
    /* a payload reference is not of the required form */
    FWDELTA_E_BAD_REFERENCE = 119,
    /* a format version this implementation does not know */
    FWDELTA_E_UNKNOWN_VERSION = 201,
    /* a map key this implementation does not know */
    FWDELTA_E_UNKNOWN_KEY = 202,
    /* an algorithm this implementation does not know */
    FWDELTA_E_UNKNOWN_ALGORITHM = 203,
    /* a command sequence outside the accepted recipe grammar */
    FWDELTA_E_UNKNOWN_RECIPE = 204,
    /* a coder this implementation does not have */
    FWDELTA_E_UNKNOWN_CODER = 205,
    /* a delta section this implementation does not know */
    FWDELTA_E_UNKNOWN_SECTION = 206,
    /* an approval mode this implementation does not know */
    FWDELTA_E_UNKNOWN_MODE = 207,
    /* a COSE header label this implementation does not know */
    FWDELTA_E_UNKNOWN_LABEL = 208,
    /* a defined feature that this build does not include */
    FWDELTA_E_NOT_BUILT_IN = 209,
    /* the authenticated part of the envelope is larger than allowed */
    FWDELTA_E_ENVELOPE_TOO_LARGE = 301,
    /* more authentication blocks than allowed */
    FWDELTA_E_TOO_MANY_BLOCKS = 302,
    /* more components than allowed */
    FWDELTA_E_TOO_MANY_COMPONENTS = 303,
    /* nested deeper than allowed */
    FWDELTA_E_TOO_DEEP = 304,
    /* more keys, operators or payloads than allowed */
    FWDELTA_E_TOO_MANY_KEYS = 305,
    /* the delta needs more working memory than is given */
    FWDELTA_E_WORKSPACE_TOO_SMALL = 306,
    /* an image is larger than allowed */
    FWDELTA_E_IMAGE_TOO_LARGE = 307,
    /* the chunk length is larger than allowed */
    FWDELTA_E_CHUNK_TOO_LARGE = 308,
    /* a string is longer than allowed */
    FWDELTA_E_STRING_TOO_LONG = 310,
    /* the manifest does not match its digest */
    FWDELTA_E_DIGEST_MISMATCH = 401,
    /* fewer vendor signatures than the trust anchor requires */
    FWDELTA_E_VENDOR_THRESHOLD = 402,
    /* a block by a trusted key does not verify */
    FWDELTA_E_BAD_SIGNATURE = 403,
    /* a trusted key is used in a role or for a PLMN it is not trusted for */
    FWDELTA_E_WRONG_ROLE = 404,
    /* the package is for another vendor's devices */
    FWDELTA_E_WRONG_VENDOR = 501,
    /* the package is for another class of device */
    FWDELTA_E_WRONG_CLASS = 502,
    /* the sequence number or version is too low, or what it would undo is not pending */
    FWDELTA_E_ROLLBACK = 503,
    /* the sequence number or version is further ahead than the device allows */
    FWDELTA_E_SEQUENCE_JUMP = 504,
    /* the package has expired */
    FWDELTA_E_EXPIRED = 505,
    /* approved, but not by the operator of this SIM */
    FWDELTA_E_OPERATOR_MISMATCH = 506,
    /* the vendor requires an operator's approval that is not there */
    FWDELTA_E_OPERATOR_REQUIRED = 507,
    /* the SIM does not allow firmware updates */
    FWDELTA_E_FOTA_NOT_ALLOWED = 508,
    /* no operator approved it and the device asks for an approval */
    FWDELTA_E_NOT_APPROVED = 509,
    /* the operator's validation string is not the SIM's */
    FWDELTA_E_STRING_MISMATCH = 510,
    /* there is no SIM and the device refuses to update without one */
    FWDELTA_E_NO_SIM = 511,
    /* the operator's approval is in a mode the trust anchor does not accept */
    FWDELTA_E_MODE_NOT_ALLOWED = 512,
    /* the trust anchor requires a validation string and the approval has none */
    FWDELTA_E_STRING_MISSING = 513,
    /* the package is for other revisions of the hardware */
    FWDELTA_E_WRONG_HARDWARE = 514,
    /* the package is for another device of this class */
    FWDELTA_E_WRONG_DEVICE = 515,
    /* the battery has less charge than the package asks for */
    FWDELTA_E_BATTERY_LOW = 516,
    /* another component is not there in the version that the package asks for */
    FWDELTA_E_DEPENDENCY_VERSION = 517,
    /* the package asks for an authorization that was not given */
    FWDELTA_E_NOT_AUTHORIZED = 518,
    /* the package is encrypted, and not for a key that was given */
    FWDELTA_E_NOT_RECIPIENT = 519,
    /* the old image has another digest than the one this update starts from */
    FWDELTA_E_OLD_DIGEST = 601,
    /* the old image has another size than the one this update starts from */
    FWDELTA_E_OLD_SIZE = 602,
    /* a chunk does not match its hash */
    FWDELTA_E_CHUNK_DIGEST = 701,
    /* a payload does not match its digest */
    FWDELTA_E_PAYLOAD_DIGEST = 702,
    /* the delta header does not match its digest */
    FWDELTA_E_HEADER_DIGEST = 703,
    /* the new image does not match its digest */
    FWDELTA_E_NEW_DIGEST = 704,
    /* the text does not match its digest */
    FWDELTA_E_TEXT_DIGEST = 705,
    /* the prompts do not match their digest */
    FWDELTA_E_PROMPTS_DIGEST = 706,
    /* a payload has another size than the manifest says */
    FWDELTA_E_PAYLOAD_SIZE = 707,
    /* the content key or a chunk does not decrypt */
    FWDELTA_E_NOT_DECRYPTED = 708,
    /* reading from storage failed */
    FWDELTA_E_READ_FAILED = 801,
    /* writing to storage failed */
    FWDELTA_E_WRITE_FAILED = 802,
    /* a payload is neither in the package nor beside it */
    FWDELTA_E_MISSING_PAYLOAD = 803,
    /* the device state could not be read or written */
    FWDELTA_E_STATE_FAILED = 804,
    /* storage has too little room: the slot, the scratch flash or the disk */
    FWDELTA_E_NO_SPACE = 805,
    /* an argument does not fit */
    FWDELTA_E_BAD_ARGUMENT = 901,
    /* the call is not legal in this state */
    FWDELTA_E_WRONG_STATE = 902,
    /* no old image was given for a component that needs one */
    FWDELTA_E_MISSING_OLD = 903,
    /* cancelled by the caller */
    FWDELTA_E_CANCELLED = 904,
    /* an internal invariant does not hold */
    FWDELTA_E_BUG = 1001
};

typedef struct fwdelta_error {
    /* enum fwdelta_detail, 0 for success */
    uint16_t detail;
    /* what the function returned */
    uint8_t category;
    /* 1: every old image is whole. 0: a byte of one may have been overwritten, or, before the
     * journal of an update in place could be read, nothing is known: do not boot it. */
    uint8_t old_intact;
    /* number of the component it is about, or FWDELTA_NO_COMPONENT */
    uint32_t component;
    /* offset in the structure that was read, 0 where that has no meaning */
    uint64_t pos;
} fwdelta_error;

/* A readable medium: the staged package, a detached payload, an old image. */
typedef struct fwdelta_source {
    uint32_t abi;
    /* handed to the callback */
    void *ctx;
    /* Fills `buf` with `len` bytes from `pos`; never reads short. 1: the cells hold no valid word
     * (an ECC fault); any other value: the driver failed. */
    int32_t (*read)(void *ctx, uint64_t pos, uint8_t *buf, size_t len);
} fwdelta_source;

/* Sectors of one length that follow each other. */
typedef struct fwdelta_sectors {
    /* bytes of each, at least 2 */
    uint32_t len;
    /* at least 1 */
    uint32_t count;
} fwdelta_sectors;

/* The slot a new image goes to. */
typedef struct fwdelta_target {
    uint32_t abi;
    /* bytes erased together, behind `first`; 1 where no erase is needed */
    uint32_t sector_len;
    /* bytes in the slot */
    uint64_t len;
    /* bytes programmed together, 1 to 32; positions and lengths are multiples of it */
    uint16_t write_len;
    /* what an erased byte reads as, and what the last write unit is padded with */
    uint8_t erased;
    /* handed to the callbacks */
    void *ctx;
    /* Erases sector number `sector`; not called when sector_len is 1. */
    int32_t (*erase)(void *ctx, uint32_t sector);
    /* Programs erased bytes, each one once, from the front to the back. */
    int32_t (*program)(void *ctx, uint64_t pos, const uint8_t *data, size_t len);
    /* Returns once everything programmed survives a power cut. */
    int32_t (*sync)(void *ctx);
    /* Sectors of other lengths before those of sector_len bytes, as 16 KiB four times, then 64 KiB
     * once; numbers count through all of them. NULL: all sectors are alike. */
    const fwdelta_sectors *first;
    uint32_t first_count;
} fwdelta_target;

/* Flash that an update in place reads, erases and programs: the slot, and the scratch flash beside
 * it. The two must not share a sector. */
typedef struct fwdelta_flash {
    uint32_t abi;
    /* bytes erased together, behind `first`; 1 where no erase is needed */
    uint32_t sector_len;
    /* bytes in the medium */
    uint64_t len;
    /* bytes programmed together, 1 to 32; positions and lengths are multiples of it */
    uint16_t write_len;
    /* what an erased byte reads as, and what the last write unit is padded with */
    uint8_t erased;
    /* handed to the callbacks */
    void *ctx;
    /* As in fwdelta_source; what was programmed before is read back, synced or not. */
    int32_t (*read)(void *ctx, uint64_t pos, uint8_t *buf, size_t len);
    /* Erases sector number `sector`; not called when sector_len is 1. */
    int32_t (*erase)(void *ctx, uint32_t sector);
    /* Programs erased bytes; no byte is programmed twice between erases. */
    int32_t (*program)(void *ctx, uint64_t pos, const uint8_t *data, size_t len);
    /* Returns once everything erased and programmed in this medium survives a power cut. */
    int32_t (*sync)(void *ctx);
    /* as in fwdelta_target */
    const fwdelta_sectors *first;
    uint32_t first_count;
} fwdelta_flash;

/* Signature verification by a crypto cell, ROM or other library. */
typedef struct fwdelta_crypto {
    uint32_t abi;
    /* handed to the callback */
    void *ctx;
    /* 0 exactly if `signature` is an Ed25519 signature of `message` under `key` (RFC 8032), S is
     * canonical, and neither the key nor R is of small order. */
    int32_t (*verify_ed25519)(void *ctx, const uint8_t key[32], const uint8_t *message,
                              size_t message_len, const uint8_t signature[64]);
    /* NULL: there is only Ed25519. Otherwise 0 exactly if `signature` is one of `message` under
     * `key`, FWDELTA_UNSUPPORTED for an algorithm it does not have. `algorithm` is the number in
     * COSE: -9 ESP256 (ECDSA with P-256 and SHA-256; key 04 x y, signature r s, either value of
     * s), -48 ML-DSA-44 (FIPS 204, empty context). */
    int32_t (*verify_other)(void *ctx, int32_t algorithm, const uint8_t *key, size_t key_len,
                            const uint8_t *message, size_t message_len, const uint8_t *signature,
                            size_t signature_len);
} fwdelta_crypto;

/* How a payload is encrypted: numbers of COSE algorithms. */
enum fwdelta_cipher {
    FWDELTA_CIPHER_NONE = 0,
    FWDELTA_CIPHER_A128GCM = 1,
    FWDELTA_CIPHER_CHACHA20_POLY1305 = 24
};

/* How its content key is wrapped: numbers of COSE algorithms. */
enum fwdelta_key_wrap {
    /* AES-128 Key Wrap (RFC 3394) under a key from ECDH on P-256 with an ephemeral key */
    FWDELTA_ECDH_ES_A128KW = -29,
    /* the same under a key that a group shares */
    FWDELTA_A128KW = -3
};

/* Somebody who can unwrap the content key: bytes, no pointers. */
typedef struct fwdelta_recipient {
    /* enum fwdelta_cipher, not 0 */
    int32_t cipher;
    /* enum fwdelta_key_wrap */
    int32_t algorithm;
    /* what the key is found by; `fwdelta keygen` prints that of a key */
    uint8_t kid[8];
    /* the ephemeral point: 04 x y; zeros for FWDELTA_A128KW */
    uint8_t point[65];
    /* 24 for FWDELTA_CIPHER_A128GCM, else 40 */
    uint8_t wrapped_len;
    /* the content key, wrapped */
    uint8_t wrapped[40];
} fwdelta_recipient;

/* For whom a payload is encrypted, as a device keeps it beside its fwdelta_delta: bytes, no
 * pointers, nothing secret; but it must stay as it was verified. */
typedef struct fwdelta_sealing {
    /* that recipient of the package whose key this device has */
    fwdelta_recipient recipient;
    /* what the nonces of its chunks are made from */
    uint8_t nonce[12];
} fwdelta_sealing;

/* Decryption by a crypto cell, or by fwdelta_unwrap_key and fwdelta_open_chunk. This table, and
 * what it points to, stay as they are as long as a state is in use that was opened with it. The
 * content key stays with the caller: it is that of the last `unwrap`, until the update that it was
 * unwrapped for ends or another is opened. Wipe it then. */
typedef struct fwdelta_decryptor {
    uint32_t abi;
    /* handed to the callbacks */
    void *ctx;
    /* Unwraps and keeps the content key. 0: done. FWDELTA_POLICY: this is somebody else, and the
     * next recipient is asked. Anything else: it does not unwrap (FWDELTA_E_NOT_DECRYPTED).
     * ECDH-ES: the x coordinate of the private key times `point`, which must be one of the curve,
     * goes through fwdelta_derive_kek; its result unwraps. */
    int32_t (*unwrap)(void *ctx, const fwdelta_recipient *recipient);
    /* Decrypts `data` in its place with that key; 0 exactly if `tag` is right. A nonce is that of
     * one chunk only. What `data` holds after another answer is wiped. */
    int32_t (*open)(void *ctx, const uint8_t nonce[12], const uint8_t *aad, size_t aad_len,
                    uint8_t *data, size_t data_len, const uint8_t tag[16]);
    /* fwdelta_delta_of_package writes it; what applies a fwdelta_delta reads it. NULL where there
     * is no fwdelta_delta: fwdelta_verify, _check and _apply need none. */
    fwdelta_sealing *sealing;
} fwdelta_decryptor;

/* What one call of a decompressor did. */
typedef struct fwdelta_flow {
    /* input bytes it will not need again */
    size_t consumed;
    /* output bytes it wrote */
    size_t produced;
    /* not 0: the frame ended and all of it was written out */
    uint8_t done;
} fwdelta_flow;

/* zstd for packages of the profile `fast`; it owns its window. */
typedef struct fwdelta_decompressor {
    uint32_t abi;
    /* handed to the callbacks */
    void *ctx;
    /* Starts a new frame whose window is at most 2^window_log bytes. */
    int32_t (*start)(void *ctx, uint8_t window_log);
    /* Decompresses as far as either buffer lasts; other than 0 for what is not a frame. */
    int32_t (*run)(void *ctx, const uint8_t *input, size_t input_len, uint8_t *output,
                   size_t output_len, fwdelta_flow *flow);
} fwdelta_decompressor;

/* Progress, watchdog and cancellation. */
typedef struct fwdelta_progress {
    uint32_t abi;
    /* handed to the callback */
    void *ctx;
    /* Called before every read of a medium and at least once per programmed buffer. `done` of
     * `total` bytes of new images are programmed; `total` is 0 as long as nothing is written.
     * Other than 0 cancels. */
    int32_t (*step)(void *ctx, uint64_t done, uint64_t total);
} fwdelta_progress;

/* Ceilings, checked before memory or time depends on a number from the package. */
typedef struct fwdelta_limits {
    /* largest old or new image */
    uint64_t image_len;
    /* largest text or prompts */
    uint64_t text_len;
    /* largest working memory a delta may ask for, a decompressor's window included */
    uint64_t workspace_len;
    /* largest authentication wrapper plus manifest */
    uint32_t envelope_len;
    /* largest chunk of a payload, without its hash */
    uint32_t chunk_len;
} fwdelta_limits;

enum fwdelta_sim {
    FWDELTA_SIM_ABSENT = 0,
    FWDELTA_SIM_WITHOUT_FOTA = 1,
    FWDELTA_SIM_WITH_FOTA = 2
};

/* A component that is installed. */
typedef struct fwdelta_installed {
    /* zero-terminated */
    const char *name;
    /* its version; numbers of a stage before a release are negative */
    const int64_t *numbers;
    uint32_t count;
} fwdelta_installed;

/* What the device is and how it is, for packages that ask: what is not known does not meet a
 * demand, but a device without a clock it can trust is not asked for the time. */
typedef struct fwdelta_facts {
    uint32_t abi;
    uint32_t hardware_count;
    /* revision of the hardware; NULL: not known */
    const int64_t *hardware;
    /* UUIDs of 16 bytes, checked besides those of the trust anchor; NULL: not checked */
    const uint8_t *vendor_id;
    const uint8_t *class_id;
    /* UUID of this very device, 16 bytes; NULL: not known */
    const uint8_t *device_id;
    /* seconds since 1970 (UTC) */
    uint64_t time;
    /* bytes free for all new images together, where they share one room */
    uint64_t free_len;
    /* whether the clock can be trusted */
    uint8_t has_time;
    uint8_t has_battery;
    /* percent; 100 on mains */
    uint8_t battery;
    uint8_t has_free_len;
    /* whether the user, or who decides in the user's stead, authorized this update */
    uint8_t is_authorized;
    /* at most FWDELTA_INSTALLED_COUNT_MAX */
    uint32_t installed_count;
    const fwdelta_installed *installed;
} fwdelta_facts;

/* What the device knows of itself besides its trust anchor. */
typedef struct fwdelta_device {
    uint32_t abi;
    /* enum fwdelta_sim */
    uint8_t sim;
    /* 0 before the first update */
    uint8_t has_sequence;
    /* content of the SIM's EF_FOTA; read for FWDELTA_SIM_WITH_FOTA only, like plmn */
    uint8_t ef_fota[FWDELTA_EF_FOTA_LEN];
    /* the SIM's operator, five or six digits and a terminating zero */
    char plmn[FWDELTA_PLMN_LEN];
    /* sequence number of the last confirmed update */
    uint64_t sequence;
    /* NULL: it knows nothing of itself; packages that ask something are refused */
    const fwdelta_facts *facts;
    /* fwdelta_summary.manifest, 32 bytes, of the update that was applied and waits for its
     * confirmation: only a package that leads back from that one is accepted as such. NULL: none
     * waits. */
    const uint8_t *pending;
} fwdelta_device;

/* A trust anchor that replaces another. */
typedef struct fwdelta_anchor {
    /* where it stands in what was given; this is what is to be stored, whole or not at all */
    const uint8_t *anchor;
    size_t len;
    /* higher than that of the one before */
    uint64_t version;
} fwdelta_anchor;

/* What became of a package. */
typedef struct fwdelta_outcome {
    /* 0 where it could not be read */
    uint64_t sequence;
    /* enum fwdelta_detail; 0 for success */
    uint16_t detail;
    /* digest of the manifest; zeros where it could not be read */
    uint8_t manifest[32];
} fwdelta_outcome;

/* Everything about one package on one device. */
typedef struct fwdelta_update {
    uint32_t abi;
    /* the whole package; it is read again by every call and every time checked anew */
    const fwdelta_source *package;
    uint64_t package_len;
    /* the compiled trust anchor */
    const uint8_t *trust;
    size_t trust_len;
    const fwdelta_device *device;
    const fwdelta_limits *limits;
    /* NULL: the built-in algorithms (FWDELTA_USAGE if the library was built without) */
    const fwdelta_crypto *crypto;
    /* NULL: packages that need one are refused (FWDELTA_UNSUPPORTED) */
    const fwdelta_decompressor *decompressor;
    /* NULL: packages that are encrypted are verified but not applied (FWDELTA_E_NOT_RECIPIENT) */
    const fwdelta_decryptor *decryptor;
    /* NULL: none */
    const fwdelta_progress *progress;
    /* takes the authentication wrapper and the manifest; limits->envelope_len is always enough */
    uint8_t *envelope_buf;
    size_t envelope_buf_len;
    /* Working memory. fwdelta_verify needs one byte (more is faster), the other functions as much
     * as the largest fwdelta_component.work_len. Uninitialised and without alignment. */
    uint8_t *work;
    size_t work_len;
} fwdelta_update;

/* Why the operator decision was to go on. */
enum fwdelta_decision {
    /* the SIM's operator approved */
    FWDELTA_APPROVED = 1,
    /* not approved for this SIM, which the device's policy allows */
    FWDELTA_UNAPPROVED = 2,
    /* the SIM has no EF_FOTA */
    FWDELTA_WITHOUT_FOTA = 3,
    /* there is no SIM, which the device's policy allows */
    FWDELTA_WITHOUT_SIM = 4
};

/* How an operator approved. */
enum fwdelta_mode {
    FWDELTA_MODE_NONE = 0,
    FWDELTA_MODE_STRING = 1,
    FWDELTA_MODE_SECRET = 2,
    FWDELTA_MODE_SIGNED = 3
};

/* What a package says. */
typedef struct fwdelta_summary {
    /* to be stored once the new image has proved itself, not before */
    uint64_t sequence;
    uint8_t vendor_id[16];
    uint8_t class_id[16];
    uint32_t component_count;
    /* enum fwdelta_decision */
    uint8_t decision;
    /* enum fwdelta_mode of the approval that counted */
    uint8_t approval_mode;
    /* PLMN of the operator whose approval counted, zero-terminated; empty for none */
    char approved_by[FWDELTA_PLMN_LEN];
    /* bytes of the prompts to show on this device, in all languages; 0 for none */
    uint64_t prompts_len;
    /* SHA-256 of the manifest: which package it is; fwdelta_device.pending until it is confirmed */
    uint8_t manifest[32];
} fwdelta_summary;

/* When a prompt is shown. */
enum fwdelta_moment {
    FWDELTA_BEFORE_DOWNLOAD = 1,
    FWDELTA_AFTER_DOWNLOAD = 2,
    FWDELTA_BEFORE_UPDATE = 3,
    FWDELTA_AFTER_UPDATE = 4
};

/* One prompt. The texts stand in fwdelta_update.work, in UTF-8 without terminating zero and without
 * control characters, until that memory is used again. */
typedef struct fwdelta_prompt {
    /* at most 256 characters; NULL where the package has none for this moment and language */
    const char *text;
    /* BCP 47 tag of the language that was chosen; NULL where the package has no prompts */
    const char *language;
    uint32_t text_len;
    uint32_t language_len;
    /* not 0: of the operator whose approval counted, else of the vendor */
    uint32_t by_operator;
} fwdelta_prompt;

/* What a package says of one component. The texts stand in envelope_buf, without terminating
 * zero, until that buffer is used again. */
typedef struct fwdelta_component {
    /* 1 to 32 of a-z A-Z 0-9 . _ - */
    const char *name;
    uint32_t name_len;
    uint32_t payload_uri_len;
    /* uri of a detached payload; NULL where the payload is in the package */
    const char *payload_uri;
    /* base name of that uri: what the payload's file is called */
    const char *payload_name;
    uint32_t payload_name_len;
    /* 0: the new image is sent in full and no old image is read */
    uint32_t has_old;
    /* not 0: it leads back from the update that is pending */
    uint32_t is_way_back;
    uint64_t old_len;
    uint64_t new_len;
    uint64_t payload_len;
    /* bytes of fwdelta_update.work that applying takes */
    uint64_t work_len;
    /* SHA-256 */
    uint8_t old_digest[32];
    uint8_t new_digest[32];
    uint8_t payload_digest[32];
    /* not 0: fwdelta_update.decryptor must not be NULL to apply it */
    uint32_t is_encrypted;
} fwdelta_component;

/* Where one component is stored. */
typedef struct fwdelta_part {
    /* NULL where has_old is 0 */
    const fwdelta_source *old;
    uint64_t old_len;
    /* NULL where the payload is in the package */
    const fwdelta_source *payload;
    uint64_t payload_len;
    const fwdelta_target *slot;
} fwdelta_part;

/* A delta that was authenticated, by fwdelta_delta_of_package or otherwise: numbers and bytes,
 * no pointers. Whoever verified a package may store it for the boot loader that applies it. */
typedef struct fwdelta_delta {
    uint32_t abi;
    /* bytes of `header` that count */
    uint16_t header_len;
    /* enum fwdelta_cipher: other than 0, the payload is encrypted, and the fwdelta_sealing that the
     * decryptor points to is to be kept with this */
    uint16_t cipher;
    /* where the payload starts in its medium */
    uint64_t payload_pos;
    uint64_t payload_len;
    /* Of the decision to install, any bytes: a journal is found again under the same header and
     * the same decision only. */
    uint8_t decision[32];
    /* the delta header (docs/format-delta.md, section 2) */
    uint8_t header[FWDELTA_HEADER_LEN_MAX];
} fwdelta_delta;

/* What a delta header says, known before the payload is downloaded. */
typedef struct fwdelta_delta_info {
    uint64_t old_len;
    uint64_t new_len;
    uint64_t payload_len;
    /* bytes of working memory that applying takes */
    uint64_t work_len;
    /* in place: bytes that the slot must have; else 0 */
    uint64_t slot_len;
    /* 0: the new image is sent in full */
    uint8_t has_old;
    /* not 0: fwdelta_stream.decompressor must not be NULL for it */
    uint8_t needs_decompressor;
    /* not 0: for the fwdelta_in_place_ functions; 0: for the fwdelta_stream_ functions */
    uint8_t in_place;
    /* in place: pages of scratch flash that old pages are saved to; else 0 */
    uint8_t spare_count;
    /* in place: bytes of the longest page, which is as long as a spare page; else 0 */
    uint32_t page_len;
    /* SHA-256 */
    uint8_t old_digest[32];
    uint8_t new_digest[32];
} fwdelta_delta_info;

/* Where decoding to a slot of its own stands from one call to the next. Zeroed before its first
 * use; then only handed back. */
typedef struct fwdelta_stream_state {
    uint64_t opaque[FWDELTA_STREAM_WORD_COUNT];
} fwdelta_stream_state;

/* One delta that is applied to a slot of its own. The same for every call until the last. */
typedef struct fwdelta_stream {
    uint32_t abi;
    const fwdelta_delta *delta;
    /* NULL where has_old is 0 */
    const fwdelta_source *old;
    uint64_t old_len;
    const fwdelta_target *slot;
    const fwdelta_limits *limits;
    /* NULL: deltas that need one are refused (FWDELTA_UNSUPPORTED) */
    const fwdelta_decompressor *decompressor;
    /* NULL: deltas that are encrypted are refused (FWDELTA_E_NOT_RECIPIENT). `unwrap` is called by
     * fwdelta_stream_open and fwdelta_stream_run. */
    const fwdelta_decryptor *decryptor;
    /* NULL: none. Of fwdelta_stream_feed it knows no number of bytes. */
    const fwdelta_progress *progress;
    fwdelta_stream_state *state;
    /* fwdelta_delta_info.work_len bytes; uninitialised and without alignment. Not touched by the
     * caller as long as `state` is in use. */
    uint8_t *work;
    size_t work_len;
} fwdelta_stream;

/* What fwdelta_stream_feed wants next. */
enum fwdelta_wish {
    /* more payload */
    FWDELTA_STREAM_NEEDS_INPUT = 0,
    /* to be called again, with the payload that was not taken: feed the watchdog before */
    FWDELTA_STREAM_YIELDS = 1,
    /* fwdelta_stream_finish */
    FWDELTA_STREAM_DONE = 2
};

/* Where decoding to a slot of its own with checkpoints stands from one call to the next. Zeroed
 * before its first use; then only handed back. It is lost with the power: the scratch
 * flash knows where to go on. */
typedef struct fwdelta_two_slots_state {
    uint64_t opaque[FWDELTA_TWO_SLOTS_WORD_COUNT];
} fwdelta_two_slots_state;

/* One delta that is applied to a slot of its own and goes on after a power cut, or when a transport
 * broke off. The same for every call of one start of the device. */
typedef struct fwdelta_two_slots {
    uint32_t abi;
    const fwdelta_delta *delta;
    /* NULL where has_old is 0 */
    const fwdelta_source *old;
    uint64_t old_len;
    /* where the new image goes; read back when it is gone on with */
    const fwdelta_flash *slot;
    /* fwdelta_two_slots_scratch_len bytes for checkpoints */
    const fwdelta_flash *scratch;
    /* Bytes of the new image from one checkpoint to the next, rounded up to whole sectors: at most
     * as many are made again. Each checkpoint erases and writes half of the scratch flash. May be
     * another one at each start. */
    uint64_t interval;
    const fwdelta_limits *limits;
    /* NULL: deltas that need one are refused (FWDELTA_UNSUPPORTED) */
    const fwdelta_decompressor *decompressor;
    /* NULL: deltas that are encrypted are refused (FWDELTA_E_NOT_RECIPIENT). `unwrap` is called by
     * fwdelta_two_slots_begin and _resume, so the key must be there after a power cut. */
    const fwdelta_decryptor *decryptor;
    /* NULL: none. Called before every read, with 0 of 0 bytes. */
    const fwdelta_progress *progress;
    fwdelta_two_slots_state *state;
    /* fwdelta_delta_info.work_len bytes; uninitialised and without alignment. Not touched by the
     * caller as long as `state` is in use. */
    uint8_t *work;
    size_t work_len;
} fwdelta_two_slots;

/* Where an update goes on. */
typedef struct fwdelta_resume_at {
    /* The byte of payload to be fed next. 0, the first, for deltas that need a decompressor, which
     * has no state that could be saved: they take the payload again but make nothing of it
     * again. */
    uint64_t payload_pos;
    /* bytes of the new image that are not made again */
    uint64_t new_pos;
} fwdelta_resume_at;

/* Where an update in place stands from one call to the next. Zeroed before its first use; then
 * only handed back. It is lost with the power: the scratch flash knows where to go
 * on. */
typedef struct fwdelta_state {
    uint64_t opaque[FWDELTA_STATE_WORD_COUNT];
} fwdelta_state;

/* One update in place. The same for every call from the first step to the last. */
typedef struct fwdelta_in_place {
    uint32_t abi;
    const fwdelta_delta *delta;
    /* where the old image stands, from its first byte on, and the new one will */
    const fwdelta_flash *slot;
    /* fwdelta_in_place_scratch_len bytes for spare pages and checkpoints */
    const fwdelta_flash *scratch;
    /* the staged package, or the file of the payload; it stays where it is until the end */
    const fwdelta_source *payload;
    const fwdelta_limits *limits;
    /* NULL: deltas that are encrypted are refused (FWDELTA_E_NOT_RECIPIENT). `unwrap` is called by
     * fwdelta_in_place_rehearse, _begin and _resume, so the key must be there after a power cut. */
    const fwdelta_decryptor *decryptor;
    /* NULL: none. Called before every read, with 0 of 0 bytes. */
    const fwdelta_progress *progress;
    fwdelta_state *state;
    /* fwdelta_delta_info.work_len bytes; uninitialised and without alignment. Not touched by the
     * caller as long as `state` is in use. */
    uint8_t *work;
    size_t work_len;
} fwdelta_in_place;

/* What the scratch flash says of an update. */
enum fwdelta_found {
    /* it was not begun: in place, the old image is whole */
    FWDELTA_FOUND_NOTHING = 0,
    /* it was begun: resume it, whatever policy says by now */
    FWDELTA_FOUND_BEGUN = 1,
    /* it is done, and the digest of the new image was right: boot it */
    FWDELTA_FOUND_DONE = 2
};

/* How far a rehearsal or an update in place is. */
typedef struct fwdelta_step {
    /* 0: feed the watchdog and call again */
    uint32_t done;
    /* pages of the new image that are made, of how many */
    uint64_t page_done;
    uint64_t page_count;
} fwdelta_step;

/* What device management protocols call an outcome. */
typedef struct fwdelta_codes {
    /* OMA FUMO 1.0 result code */
    uint16_t fumo;
    /* OMA Download 1.0 install-notify status */
    uint16_t install_notify;
    /* LwM2M object 5, update result */
    uint8_t lwm2m;
} fwdelta_codes;

/* The version of this interface that the library was built with. */
uint32_t fwdelta_abi_version(void);

/* Ceilings for microcontrollers: 4 KiB of envelope, images to 16 MiB, 10 KiB of workspace. */
fwdelta_status fwdelta_limits_device(fwdelta_limits *out);

/* Ceilings for Linux-class devices: 64 KiB of envelope, 24 MiB of workspace. */
fwdelta_status fwdelta_limits_linux(fwdelta_limits *out);

/* Verifies the package alone: shape, signatures, vendor, class, sequence number, operators, texts
 * and delta headers (steps 1 to 6 and part of 7). Describes up to `component_max` components,
 * which may be 0 with `components` NULL. Reads neither payloads nor old images. */
fwdelta_status fwdelta_verify(const fwdelta_update *update, fwdelta_summary *out,
                              fwdelta_component *components, uint32_t component_max,
                              fwdelta_error *error);

/* Verifies as fwdelta_verify does (steps 1 to 6) and gives the prompt of an enum fwdelta_moment.
 * `language` is that of the device's user, zero-terminated: a BCP 47 tag or a POSIX locale, as in
 * "de-AT" or "de_AT.UTF-8"; NULL where it is not known. Chosen is the best of the package's
 * languages for it (RFC 4647 lookup), else English, else the first; a language that is malformed
 * is passed over. `work` has summary.prompts_len bytes. */
fwdelta_status fwdelta_prompt_of(const fwdelta_update *update, uint32_t moment,
                                 const char *language, fwdelta_prompt *out,
                                 fwdelta_error *error);

/* Does every check that comes before the first write (steps 1 to 8), for all components: also
 * payloads, old images, slots and working memory. `parts` holds one entry for each component of
 * the package, in the package's order. */
fwdelta_status fwdelta_check(const fwdelta_update *update, const fwdelta_part *parts,
                             uint32_t part_count, fwdelta_error *error);

/* Does what fwdelta_check does, then writes every new image and checks its digest, last of all
 * (steps 1 to 10). Only FWDELTA_OK means that all slots hold their new images. */
fwdelta_status fwdelta_apply(const fwdelta_update *update, const fwdelta_part *parts,
                             uint32_t part_count, fwdelta_error *error);

/* Verifies the package `back` as fwdelta_verify does, its payloads too, and that it leads from the
 * new images of `forward` back to the old ones: those are the components of the update that is
 * about to be applied, as fwdelta_verify described them, in their order, and back->device->pending
 * is its summary.manifest. To be called before the first write; then keep `back` until the update
 * is confirmed. A package that is none is FWDELTA_E_BAD_ARGUMENT, one that leads back from another
 * update FWDELTA_E_ROLLBACK. */
fwdelta_status fwdelta_check_way_back(const fwdelta_update *back,
                                      const fwdelta_component *forward, uint32_t forward_count,
                                      fwdelta_error *error);

/* Verifies the package, and one component's payload, as fwdelta_check does (steps 1 to 7); gives
 * the delta of that component for the calls below, which verify nothing. `decision` is then of the
 * manifest and of what the operator decision was. `payload` is where a detached payload is, NULL
 * where the package holds it: payload_pos is then a position in the package. NULL for a detached
 * one leaves the payload unchecked, as before its download: the header has the hash of its first
 * chunk, that chunk the next one's. Old images and slots are not looked at. */
fwdelta_status fwdelta_delta_of_package(const fwdelta_update *update, uint32_t component,
                                        const fwdelta_source *payload, uint64_t payload_len,
                                        fwdelta_delta *out, fwdelta_error *error);

/* Reads the head of a delta file, as `fwdelta diff` writes it, of `file_len` bytes. Such a file is
 * not signed: authenticate it first. `decision` is left zero. */
fwdelta_status fwdelta_delta_of_file(const fwdelta_source *file, uint64_t file_len,
                                     fwdelta_delta *out, fwdelta_error *error);

/* Says what the header of a delta says, if it keeps to the limits. */
fwdelta_status fwdelta_delta_read(const fwdelta_delta *delta, const fwdelta_limits *limits,
                                  fwdelta_delta_info *out, fwdelta_error *error);

/* Bytes of scratch flash that an update in place takes, programmed in units of `write_len` bytes:
 * a multiple of the page length. The content of `work`, of fwdelta_delta_info.work_len bytes, is
 * lost. */
fwdelta_status fwdelta_in_place_scratch_len(const fwdelta_delta *delta,
                                            const fwdelta_limits *limits, uint16_t write_len,
                                            uint8_t *work, size_t work_len, uint64_t *out,
                                            fwdelta_error *error);

/* Checks the delta, the slot and the digest of the old image, and starts: nothing is written yet.
 * A delta that was begun and not finished is started anew. */
fwdelta_status fwdelta_stream_open(const fwdelta_stream *stream, fwdelta_error *error);

/* Takes payload from `input`, in pieces of any length, and works for a bounded time: at most one
 * buffer is programmed. `*taken` bytes were taken, the rest is to be offered again. `*wish` is an
 * enum fwdelta_wish. Each chunk is checked before it is decoded where the header has a hash (all
 * packages have). */
fwdelta_status fwdelta_stream_feed(const fwdelta_stream *stream, const void *input,
                                   size_t input_len, size_t *taken, uint32_t *wish,
                                   fwdelta_error *error);

/* Makes the new image durable and checks its digest. Only FWDELTA_OK means that it is there. */
fwdelta_status fwdelta_stream_finish(const fwdelta_stream *stream, fwdelta_error *error);

/* All of that in one call, the payload read from delta->payload_pos of `payload`. */
fwdelta_status fwdelta_stream_run(const fwdelta_stream *stream, const fwdelta_source *payload,
                                  fwdelta_error *error);

/* Bytes of scratch flash that checkpoints of an update to a slot of its own take, in sectors of
 * `sector_len` bytes, the longest if they differ, programmed in units of `write_len`. The content
 * of `work`, of fwdelta_delta_info.work_len bytes, is lost. */
fwdelta_status fwdelta_two_slots_scratch_len(const fwdelta_delta *delta,
                                             const fwdelta_limits *limits, uint32_t sector_len,
                                             uint16_t write_len, uint8_t *work, size_t work_len,
                                             uint64_t *out, fwdelta_error *error);

/* An update to a slot of its own that goes on where it stopped, at every start of the device:
 *
 *   look       -> FWDELTA_FOUND_NOTHING: begin
 *                 FWDELTA_FOUND_BEGUN:   resume, and fetch the payload from payload_pos on
 *                 FWDELTA_FOUND_DONE:    boot it; when it has proved itself, clear
 *   feed until FWDELTA_STREAM_DONE, finish
 *
 * The old image is never touched. After an error start again with look; after FWDELTA_E_NEW_DIGEST
 * or FWDELTA_E_READ_FAILED of an update that was gone on with, what had been written is not what it
 * was: begin. */

/* Reads the journal; `*out` is an enum fwdelta_found. */
fwdelta_status fwdelta_two_slots_look(const fwdelta_two_slots *update, uint32_t *out,
                                      fwdelta_error *error);

/* Checks the delta, the slot and the digest of the old image, and saves the first checkpoint; also
 * where an earlier run got somewhere. */
fwdelta_status fwdelta_two_slots_begin(const fwdelta_two_slots *update, fwdelta_error *error);

/* Checks the same, and goes on from the last checkpoint. */
fwdelta_status fwdelta_two_slots_resume(const fwdelta_two_slots *update, fwdelta_resume_at *out,
                                        fwdelta_error *error);

/* As fwdelta_stream_feed; payload from payload_pos on after a resume. At first it takes nothing, as
 * it hashes what earlier runs wrote, a buffer a call. */
fwdelta_status fwdelta_two_slots_feed(const fwdelta_two_slots *update, const void *input,
                                      size_t input_len, size_t *taken, uint32_t *wish,
                                      fwdelta_error *error);

/* Makes the new image durable, checks its digest, and records that it is there. Only FWDELTA_OK
 * means that. */
fwdelta_status fwdelta_two_slots_finish(const fwdelta_two_slots *update, fwdelta_error *error);

/* Erases the journal of an update that is done or not wanted. */
fwdelta_status fwdelta_two_slots_clear(const fwdelta_two_slots *update, fwdelta_error *error);

/* An update in place, at every start of the device (docs/in-place.md):
 *
 *   look       -> FWDELTA_FOUND_NOTHING: rehearse, step until done, begin
 *                 FWDELTA_FOUND_BEGUN:   resume
 *                 FWDELTA_FOUND_DONE:    boot; when the new image has proved itself, clear
 *   step until done, finish
 *
 * After an error with old_intact 0 start again with look: resume is always legal. */

/* Reads the journal; `*out` is an enum fwdelta_found. */
fwdelta_status fwdelta_in_place_look(const fwdelta_in_place *update, uint32_t *out,
                                     fwdelta_error *error);

/* Opens a rehearsal: everything is decoded and nothing written. Checks the digest of the old image
 * first. FWDELTA_E_WRONG_STATE if the update was begun. */
fwdelta_status fwdelta_in_place_rehearse(const fwdelta_in_place *update, fwdelta_error *error);

/* Begins what was rehearsed to its end, with a checkpoint: nothing of the slot is erased yet.
 * FWDELTA_E_NEW_DIGEST if the rehearsal made another image. */
fwdelta_status fwdelta_in_place_begin(const fwdelta_in_place *update, fwdelta_error *error);

/* Goes on after a power cut, or after an error of fwdelta_in_place_step. Asks no policy. */
fwdelta_status fwdelta_in_place_resume(const fwdelta_in_place *update, fwdelta_error *error);

/* Does a bounded piece of work, at most one operation on one page. */
fwdelta_status fwdelta_in_place_step(const fwdelta_in_place *update, fwdelta_step *out,
                                     fwdelta_error *error);

/* Confirms that the new image is in the slot, its digest checked. Only FWDELTA_OK means that it may
 * be booted. FWDELTA_E_WRONG_STATE before the last step. */
fwdelta_status fwdelta_in_place_finish(const fwdelta_in_place *update, fwdelta_error *error);

/* Erases the journal of an update that is done, or was never begun: not while it is under way. */
fwdelta_status fwdelta_in_place_clear(const fwdelta_in_place *update, fwdelta_error *error);

/* For fwdelta_decryptor.unwrap, where the private key is in hardware: the key that wraps the
 * content key, 16 bytes, from the shared secret of ECDH, the 32 bytes of its x coordinate
 * (HKDF-SHA-256, docs/format.md, section 3.5). Wipe both. FWDELTA_UNSUPPORTED in a library without
 * `encryption`. */
fwdelta_status fwdelta_derive_kek(const uint8_t *shared, uint8_t *kek);

/* For fwdelta_decryptor.unwrap, in software: unwraps the content key into FWDELTA_CONTENT_KEY_LEN
 * bytes with a key that is found by `kid`, 8 bytes: 32 bytes are the secret number of a P-256 key,
 * 16 the key of a group. FWDELTA_POLICY for another recipient's, FWDELTA_CORRUPT if it does not
 * unwrap. FWDELTA_UNSUPPORTED in a library without `encryption-software`. */
fwdelta_status fwdelta_unwrap_key(const fwdelta_recipient *recipient, const uint8_t *kid,
                                  const uint8_t *key, size_t key_len, uint8_t *content_key);

/* For fwdelta_decryptor.open, in software. FWDELTA_CORRUPT if `tag` is wrong, FWDELTA_UNSUPPORTED
 * as above. */
fwdelta_status fwdelta_open_chunk(int32_t cipher, const uint8_t *content_key,
                                  const uint8_t *nonce, const uint8_t *aad, size_t aad_len,
                                  uint8_t *data, size_t data_len, const uint8_t *tag);

/* Whether a download may be started: refuses with FWDELTA_E_FOTA_NOT_ALLOWED or FWDELTA_E_NO_SIM
 * what would be refused whatever the package is. The SIM is asked again when the package is
 * there. */
fwdelta_status fwdelta_gate(const uint8_t *trust, size_t trust_len, const fwdelta_device *device,
                            fwdelta_error *error);

/* Checks a trust anchor that is to replace `current`: as many vendor keys as both ask for must have
 * signed it, and its version must be higher (docs/format.md, section 6.1). `crypto` as in
 * fwdelta_update. Until *out is stored whole, `current` stays the device's anchor. */
fwdelta_status fwdelta_trust_accept(const uint8_t *current, size_t current_len,
                                    const uint8_t *signed_trust, size_t signed_len,
                                    const fwdelta_crypto *crypto, fwdelta_anchor *out,
                                    fwdelta_error *error);

/* Writes sim, plmn and ef_fota of a device as a record of FWDELTA_HANDOFF_LEN bytes, for an update
 * agent that has no access to the SIM. The record is as secret as EF_FOTA is. */
fwdelta_status fwdelta_handoff_write(const fwdelta_device *device, uint8_t *out,
                                     fwdelta_error *error);

/* Reads such a record into sim, plmn and ef_fota of `device`, whose `abi` is set and whose other
 * fields stay as they are. Memory that was never written is FWDELTA_E_BAD_MAGIC, a torn record
 * FWDELTA_E_STATE_FAILED; neither is to be taken for a device without a SIM. */
fwdelta_status fwdelta_handoff_read(const uint8_t *record, size_t record_len,
                                    fwdelta_device *device, fwdelta_error *error);

/* Writes what became of a package as a record of FWDELTA_RESULT_LEN bytes, for the agent that
 * reports it. `detail` as in fwdelta_error, 0 for success; `manifest` is its digest, 32 bytes, or
 * NULL where it could not be read. */
fwdelta_status fwdelta_result_write(uint16_t detail, uint64_t sequence, const uint8_t *manifest,
                                    uint8_t *out);

/* Reads such a record. */
fwdelta_status fwdelta_result_read(const uint8_t *record, size_t record_len, fwdelta_outcome *out);

/* The name of an enum fwdelta_detail as in docs/format.md; "Ok" for 0, "Unknown" for what is none.
 * Never NULL. */
const char *fwdelta_error_name(uint16_t detail);

/* The codes of an enum fwdelta_detail, or of success for 0. */
fwdelta_status fwdelta_codes_of(uint16_t detail, fwdelta_codes *out);

/* Not in the library. With the signature callback nothing refers to it. A library built with the
 * feature `ed25519` does: there the application defines it, so that it resets the device or ends
 * the process. It must not return. */
void fwdelta_panic(void);

#ifdef __cplusplus
}
#endif

#endif

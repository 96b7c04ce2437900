/* Prompts of a verified package in the language of the device's user. Linked with the library that
 * has the built-in Ed25519.
 *
 * prompts TESTDATA */
#include "device.h"

/* The library with the built-in Ed25519 asks for this. */
void fwdelta_panic(void)
{
    fputs("the library panicked\n", stderr);
    abort();
}

/* Whether the prompt is `text` in `language`; NULL for none. */
static int shows(struct rig *rig, uint32_t moment, const char *user, const char *language,
                 const char *text)
{
    fwdelta_prompt prompt;
    memset(&prompt, 0x55, sizeof prompt);
    CHECK(fwdelta_prompt_of(&rig->update, moment, user, &prompt, &rig->error) == FWDELTA_OK);
    CHECK(prompt.language_len == strlen(language));
    CHECK(memcmp(prompt.language, language, prompt.language_len) == 0);
    if (text == NULL) {
        return prompt.text == NULL && prompt.text_len == 0;
    }
    return prompt.text_len == strlen(text) && memcmp(prompt.text, text, prompt.text_len) == 0;
}

/* A SIM without EF_FOTA: no approval counts, so the vendor speaks. */
static void of_the_vendor(const char *packages)
{
    static struct rig rig;
    fwdelta_prompt prompt;
    fwdelta_summary summary;
    rig_open(&rig, packages, "prompts.suit");
    rig.device.sim = FWDELTA_SIM_WITHOUT_FOTA;
    CHECK(fwdelta_verify(&rig.update, &summary, NULL, 0, &rig.error) == FWDELTA_OK);
    CHECK(summary.prompts_len > 50 && summary.prompts_len < WORK_LEN);
    rig.update.work_len = (size_t)summary.prompts_len;
    CHECK(shows(&rig, FWDELTA_BEFORE_UPDATE, "de", "de", "Jetzt einspielen?"));
    CHECK(shows(&rig, FWDELTA_BEFORE_UPDATE, "de_AT.UTF-8", "de-AT", "Jetzt einspielen?"));
    CHECK(shows(&rig, FWDELTA_AFTER_UPDATE, "de-at", "de-AT", "Passt."));
    CHECK(shows(&rig, FWDELTA_BEFORE_UPDATE, "de-CH", "de", "Jetzt einspielen?"));
    CHECK(shows(&rig, FWDELTA_BEFORE_UPDATE, "fr", "en", "Install now?"));
    CHECK(shows(&rig, FWDELTA_BEFORE_UPDATE, NULL, "en", "Install now?"));
    CHECK(shows(&rig, FWDELTA_BEFORE_UPDATE, "C", "en", "Install now?"));
    CHECK(shows(&rig, FWDELTA_BEFORE_UPDATE, "\xff\xfe", "en", "Install now?"));
    CHECK(shows(&rig, FWDELTA_BEFORE_DOWNLOAD, "de", "de", "Jetzt laden?"));
    CHECK(fwdelta_prompt_of(&rig.update, FWDELTA_BEFORE_UPDATE, "de", &prompt, &rig.error)
          == FWDELTA_OK && prompt.by_operator == 0);
    CHECK(refused(&rig, fwdelta_prompt_of(&rig.update, 0, "de", &prompt, &rig.error),
                  FWDELTA_E_BAD_ARGUMENT));
    CHECK(refused(&rig, fwdelta_prompt_of(&rig.update, 5, "de", &prompt, &rig.error),
                  FWDELTA_E_BAD_ARGUMENT));
    CHECK(refused(&rig, fwdelta_prompt_of(&rig.update, 1, "de", NULL, &rig.error),
                  FWDELTA_E_BAD_ARGUMENT));
    rig.update.work_len--;
    CHECK(refused(&rig, fwdelta_prompt_of(&rig.update, 1, "de", &prompt, &rig.error),
                  FWDELTA_E_WORKSPACE_TOO_SMALL));
    rig_close(&rig);
}

/* The SIM of the operator that approved: it speaks, in its own languages. */
static void of_the_operator(const char *packages)
{
    static struct rig rig;
    fwdelta_prompt prompt;
    size_t at;
    int refused_count = 0;
    rig_open(&rig, packages, "prompts.suit");
    CHECK(shows(&rig, FWDELTA_BEFORE_UPDATE, "fr_CA", "fr",
                "Votre op\xc3\xa9rateur vous demande : installer ?"));
    CHECK(shows(&rig, FWDELTA_BEFORE_UPDATE, "de", "en", "Your operator asks: install?"));
    CHECK(shows(&rig, FWDELTA_AFTER_UPDATE, "fr", "fr", NULL));
    CHECK(fwdelta_prompt_of(&rig.update, FWDELTA_BEFORE_UPDATE, "de", &prompt, &rig.error)
          == FWDELTA_OK && prompt.by_operator != 0);
    rig.device.ef_fota[0] = 0;
    CHECK(refused(&rig, fwdelta_prompt_of(&rig.update, 1, "de", &prompt, &rig.error),
                  FWDELTA_E_FOTA_NOT_ALLOWED));
    rig.device.ef_fota[0] = 1;
    /* Whatever is shown is what was signed: a flip in the text is found. */
    for (at = 0; at + 8 < rig.package_bytes.len; at++) {
        if (memcmp(rig.package_bytes.data + at, "operator asks", 8) == 0) {
            rig.package_bytes.data[at] ^= 1;
            CHECK(refused(&rig, fwdelta_prompt_of(&rig.update, 3, "de", &prompt, &rig.error),
                          FWDELTA_E_PROMPTS_DIGEST));
            rig.package_bytes.data[at] ^= 1;
            refused_count++;
        }
    }
    CHECK(refused_count == 1);
    rig_close(&rig);
}

/* A vector without prompts has nothing to show, and that is no error. */
static void of_nobody(const char *vectors)
{
    static struct rig rig;
    fwdelta_prompt prompt;
    fwdelta_summary summary;
    rig_open_bare(&rig, vectors, "valid-bare.suit");
    CHECK(fwdelta_verify(&rig.update, &summary, NULL, 0, &rig.error) == FWDELTA_OK);
    CHECK(summary.prompts_len == 0);
    CHECK(fwdelta_prompt_of(&rig.update, 1, "de", &prompt, &rig.error) == FWDELTA_OK);
    CHECK(prompt.text == NULL && prompt.language == NULL && prompt.by_operator == 0);
    rig_close(&rig);
}

int main(int argc, char **argv)
{
    char dir[512];
    CHECK(argc == 2);
    snprintf(dir, sizeof dir, "%s/capi", argv[1]);
    of_the_vendor(dir);
    of_the_operator(dir);
    snprintf(dir, sizeof dir, "%s/vectors", argv[1]);
    of_nobody(dir);
    return passed("prompts");
}

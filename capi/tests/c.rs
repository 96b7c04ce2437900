//! The library as C sees it: header and library agree, C programs run, no path to a panic is left.
//!
//! Needs a C and a C++ compiler (`CC`, `CXX`; default `cc`, `c++`) and `nm`.
// Long because the header is compared with the library as a whole.

#[path = "../src/abi.rs"]
#[allow(dead_code)] // Its layout is what is tested.
mod abi;
#[path = "../../tests/program/mod.rs"]
mod program;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use fwdelta_core::format::encryption::{CONTENT_KEY_LEN_MAX, ContentAlgorithm};
use fwdelta_core::format::prompts::MOMENT_MAX;
use fwdelta_core::hash::sha256;
use fwdelta_core::limits::{COMPONENT_COUNT_MAX, HEADER_LEN_MAX};
use fwdelta_core::verify::handoff::{HANDOFF_LEN, RESULT_LEN};
use fwdelta_core::verify::{Basis, EF_FOTA_LEN};
use fwdelta_core::{Category, Detail};

/// Parts of symbol names that stand for a panic or an allocation.
const FORBIDDEN: [&str; 8] = [
    "panic",
    "unwrap_failed",
    "expect_failed",
    "index_fail",
    "len_mismatch_fail",
    "rust_begin_unwind",
    "__rust_alloc",
    "__rust_no_alloc_shim",
];

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn header() -> String {
    std::fs::read_to_string(here().join("include/fwdelta.h")).unwrap()
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}{err}", output.status);
    output
}

/// The release libraries: signatures by callback, with every algorithm built in, and by callback
/// for one instruction set only.
struct Libraries {
    callback: PathBuf,
    built_in: PathBuf,
    thumb: PathBuf,
}

fn libraries() -> &'static Libraries {
    static BUILT: OnceLock<Libraries> = OnceLock::new();
    BUILT.get_or_init(|| {
        // A folder for each: they are one file name, and shared dependencies are few.
        let build = |name: &str, arguments: &[&str]| {
            let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
            let mut cargo = Command::new(env!("CARGO"));
            cargo.current_dir(here()).args(["build", "--release", "--locked", "--target-dir"]);
            run(cargo.arg(&dir).args(arguments));
            dir.join("release/libfwdelta.a")
        };
        Libraries {
            callback: build("library-callback", &["--features", "encryption"]),
            built_in: build(
                "library-built-in",
                &["--features", "esp256,ml-dsa-44,encryption-software"],
            ),
            thumb: build(
                "library-thumb",
                &["--no-default-features", "--features", "isa-thumb,coder-all"],
            ),
        }
    })
}

/// A compiler that takes no warning.
fn compiler(variable: &str, default: &str, standard: &str) -> Command {
    let mut command = Command::new(std::env::var_os(variable).unwrap_or(default.into()));
    command.args([standard, "-pedantic", "-Wall", "-Wextra", "-Werror", "-O1"]);
    command.arg("-I").arg(here().join("include"));
    command
}

fn c99() -> Command {
    compiler("CC", "cc", "-std=c99")
}

/// Compiles a program of this folder, links it with `library` and runs it on testdata.
fn run_program(name: &str, library: &Path) {
    run_program_with(name, library, &[]);
}

/// The same, with more arguments.
fn run_program_with(name: &str, library: &Path, arguments: &[&Path]) {
    let kind = library.ancestors().nth(2).and_then(Path::file_name).unwrap();
    let program = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let program = program.join(format!("{name}-{}", kind.display()));
    run(c99().arg("-o").arg(&program).arg(here().join(format!("tests/{name}.c"))).arg(library));
    let mut command = match std::env::var_os("FWDELTA_VALGRIND") {
        Some(valgrind) => {
            let mut command = Command::new(valgrind);
            command.args(["--quiet", "--error-exitcode=88", "--leak-check=full"]);
            command.args(["--errors-for-leak-kinds=definite", "--trace-children=yes"]);
            command.arg(program);
            command
        }
        None => Command::new(program),
    };
    let output = run(command.arg(here().join("../testdata")).args(arguments));
    let text = String::from_utf8(output.stdout).unwrap();
    print!("{text}");
    assert!(text.trim_end().ends_with("checks passed"), "{text}");
}

#[test]
fn real_packages_are_verified_and_applied_from_c() {
    run_program("apply", &libraries().built_in);
}

#[test]
fn updates_in_place_survive_power_cuts_and_failing_drivers_from_c() {
    run_program("in_place", &libraries().built_in);
}

#[test]
fn a_package_leads_back_from_its_own_update_only_from_c() {
    run_program("way_back", &libraries().built_in);
}

#[test]
fn updates_of_two_slots_go_on_after_power_cuts_from_c() {
    run_program_with("two_slots", &libraries().callback, &[&images()]);
}

/// Writes the images that the stored deltas lead from and to; gives their folder.
fn images() -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("images");
    std::fs::create_dir_all(&dir).unwrap();
    let index = std::fs::read_to_string(here().join("../testdata/deltas/index.tsv")).unwrap();
    let names = index.lines().skip(1).filter_map(|line| line.split_once('\t'));
    for (name, digests) in names {
        let mut machines = program::machine::all().into_iter();
        let is_its = |machine: &program::machine::Machine| {
            name.strip_prefix(machine.name).is_some_and(|rest| rest.starts_with('-'))
        };
        let (old, new) = program::pair(&machines.find(is_its).unwrap());
        let digest = |image: &[u8]| {
            sha256(image).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        let stated: Vec<_> = digests.split('\t').collect();
        assert_eq!([&digest(&old), &digest(&new)], [stated[0], stated[1]], "{name}");
        std::fs::write(dir.join(format!("{name}.old")), old).unwrap();
        std::fs::write(dir.join(format!("{name}.new")), new).unwrap();
    }
    dir
}

#[test]
fn stored_and_damaged_deltas_give_the_same_in_c() {
    run_program_with("deltas", &libraries().callback, &[&images()]);
}

#[test]
fn the_boot_loader_of_the_examples_survives_power_cuts() {
    run_program("bare_metal", &libraries().built_in);
}

#[test]
fn the_agent_of_the_examples_survives_being_killed() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("linux-files");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    run_program_with("linux", &libraries().built_in, &[&folder]);
}

/// As their reader would compile them.
#[test]
fn the_examples_compile_by_themselves() {
    let output = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let source = |name: &str| here().join(format!("examples/{name}.c"));
    run(c99().arg("-o").arg(output.join("agent")).arg(source("linux")).arg(&libraries().built_in));
    let object = output.join("boot_loader.o");
    run(c99().arg("-c").arg("-o").arg(&object).arg(source("bare_metal")));
    let symbols = symbols(&object);
    let needed: Vec<_> = symbols.iter().filter_map(|line| line.split_once(" U ")).collect();
    let known = |name: &str| {
        name.starts_with("board_") || name.starts_with("fwdelta_") || name.starts_with("mem")
    };
    assert!(needed.len() > 10 && needed.iter().all(|(_, name)| known(name)), "{needed:?}");
}

#[test]
fn prompts_in_the_language_of_the_user_from_c() {
    run_program("prompts", &libraries().built_in);
}

#[test]
fn an_instruction_set_that_is_left_out_is_refused() {
    run_program_with("deltas", &libraries().thumb, &[&images(), Path::new("thumb")]);
}

/// Parts of symbol names of what verifies packages.
const OF_PACKAGES: [&str; 8] =
    ["_core6verify", "8envelope", "8manifest", "4auth", "5trust", "4hmac", "4hkdf", "7session"];

#[test]
fn a_program_that_decodes_only_links_no_verification() {
    let linked = |name: &str| {
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-gc"));
        let source = here().join(format!("tests/{name}.c"));
        let library = &libraries().callback;
        run(c99().arg("-Wl,--gc-sections").arg("-o").arg(&program).arg(source).arg(library));
        let symbols = symbols(&program);
        let names = symbols.iter().filter_map(|line| line.split_whitespace().last());
        let has = |part: &&&str| names.clone().any(|name| name.contains(**part));
        OF_PACKAGES.iter().filter(has).copied().collect::<Vec<_>>()
    };
    assert_eq!(linked("deltas"), [""; 0], "what decodes deltas links verification");
    let found = linked("callback");
    assert!(found.len() > 3, "names are not what they were: of packages only {found:?}");
}

#[test]
fn golden_vectors_give_the_same_numbers_in_c() {
    run_program("vectors", &libraries().built_in);
}

#[test]
fn anchors_gate_and_records() {
    run_program("policy", &libraries().built_in);
}

#[test]
fn signatures_and_decompression_by_callback() {
    run_program("callback", &libraries().callback);
}

#[test]
fn encrypted_payloads_are_opened_by_callbacks_of_the_caller() {
    run_program("encrypted", &libraries().built_in);
}

#[test]
fn encrypted_payloads_go_on_in_a_slot_of_their_own_after_power_cuts() {
    run_program("encrypted_slots", &libraries().built_in);
}

#[test]
fn the_example_of_the_guide_is_the_program_that_is_tested() {
    run_program("example", &libraries().built_in);
    let guide = std::fs::read_to_string(here().join("../docs/c-api.md")).unwrap();
    let program = std::fs::read_to_string(here().join("tests/example.c")).unwrap();
    let (_, shown) = guide.split_once("```c\n").unwrap();
    let (shown, _) = shown.split_once("```").unwrap();
    assert!(shown.lines().count() > 50);
    assert!(program.contains(shown), "docs/c-api.md and tests/example.c differ");
}

fn symbols(library: &Path) -> Vec<String> {
    let output = run(Command::new("nm").arg(library));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

fn forbidden(symbols: &[String]) -> Vec<&str> {
    symbols
        .iter()
        .filter_map(|line| line.split_whitespace().last())
        .filter(|symbol| FORBIDDEN.iter().any(|part| symbol.contains(part)))
        .collect()
}

#[test]
fn no_path_to_a_panic_with_the_signature_callback() {
    let symbols = symbols(&libraries().callback);
    let found = forbidden(&symbols);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn panics_left_with_built_in_algorithms_are_known() {
    let symbols = symbols(&libraries().built_in);
    let found = forbidden(&symbols);
    println!("{found:#?}");
    // What the arithmetic of other crates keeps: checks that the compiler cannot prove. Their
    // handler calls `fwdelta_panic`, which the application defines. Core itself has none, as the
    // library with the callback shows.
    let known = [
        "panic_bounds_check",
        "panic_fmt",
        "index_fail",
        "rust_begin_unwind",
        // ESP256, ML-DSA-44, ciphers
        "expect_failed",
        "len_mismatch_fail",
        "unwrap_failed",
        "assert_failed_inner",
        "9panicking5panic",
        "9panicking13assert_failed",
    ];
    let is_known = |symbol: &&&str| {
        **symbol == "fwdelta_panic" || known.iter().any(|known| symbol.contains(known))
    };
    let unknown: Vec<_> = found.iter().filter(|symbol| !is_known(symbol)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn the_gate_sees_what_it_shall() {
    let seen = |name: &str| !forbidden(&[format!("0000000000000000 t {name}")]).is_empty();
    assert!(seen("_RNvNtCsgEmfK2I1SDS_4core9panicking9panic_fmt"));
    assert!(seen("_ZN4core6option13unwrap_failed17h0123456789abcdefE"));
    assert!(seen("_RNvCsfLfy6EI15iL_7___rustc17rust_begin_unwind"));
    assert!(seen("fwdelta_panic"));
    assert!(!seen("fwdelta_verify") && !seen("memcpy"));
}

#[test]
fn the_library_exports_what_the_header_declares() {
    let header = header();
    // A declaration starts a line with its type and goes on to its parenthesis.
    let mut declared: Vec<_> = header
        .lines()
        .filter(|line| !line.starts_with([' ', '#', '/', 't']) && line.contains('('))
        .filter_map(|line| {
            line.split(['(', ' ', '*'])
                .find(|word| word.starts_with("fwdelta_") && *word != "fwdelta_status")
        })
        .filter(|name| *name != "fwdelta_panic")
        .map(str::to_owned)
        .collect();
    declared.sort_unstable();
    for library in [&libraries().callback, &libraries().built_in] {
        let mut exported: Vec<_> = symbols(library)
            .iter()
            .filter_map(|line| line.split_once(" T fwdelta_"))
            .map(|(_, name)| format!("fwdelta_{name}"))
            .collect();
        exported.sort_unstable();
        assert_eq!(exported, declared);
    }
}

/// What a type of an exported function is called in C.
fn c_type(rust: &str) -> String {
    let (pointer, name) = match rust.strip_prefix("*const ") {
        Some(name) => ("const * ", name),
        None => rust.strip_prefix("*mut ").map_or(("", rust), |name| ("* ", name)),
    };
    let name = match name {
        "u8" | "u16" | "u32" | "u64" => format!("{}int{}_t", &name[..1], &name[1..]),
        "i32" => "int32_t".to_owned(),
        "usize" => "size_t".to_owned(),
        "c_char" => "char".to_owned(),
        "c_void" => "void".to_owned(),
        "abi::Failure" => "fwdelta_error".to_owned(),
        other => {
            let name = upper_snake(other.strip_prefix("abi::").unwrap()).to_ascii_lowercase();
            format!("fwdelta_{name}")
        }
    };
    match pointer {
        "const * " => format!("const {name} *"),
        "* " => format!("{name} *"),
        _ => name,
    }
}

/// Names of exported functions with the types of their arguments, then of what they return.
fn rust_signatures() -> BTreeMap<String, Vec<String>> {
    let mut all = BTreeMap::new();
    for file in ["ffi", "ffi_delta", "ffi_keys", "ffi_stream", "ffi_two_slots", "ffi_policy"] {
        let text = std::fs::read_to_string(here().join(format!("src/{file}.rs"))).unwrap();
        for part in text.split("extern \"C\" fn ").skip(1) {
            let (name, rest) = part.split_once('(').unwrap();
            let (arguments, rest) = rest.split_once(") ->").unwrap();
            let returned = rest.split_once('{').unwrap().0.trim();
            let types = arguments.split(',').filter_map(|it| it.split_once(':'));
            let mut types: Vec<_> = types.map(|(_, rust)| c_type(rust.trim())).collect();
            types.push(c_type(returned).replace("uint32_t", "fwdelta_status"));
            all.insert(name.to_owned(), types);
        }
    }
    all
}

/// The same of the header.
fn header_signatures() -> BTreeMap<String, Vec<String>> {
    let header = header();
    let starts =
        |line: &&str| line.starts_with("fwdelta_status ") || line.starts_with("const char");
    let mut all = BTreeMap::new();
    for line in header.lines().filter(starts) {
        let from = header.find(line).unwrap();
        let declaration = header[from..].split_once(");").unwrap().0;
        let (head, arguments) = declaration.split_once('(').unwrap();
        let at = head.rfind("fwdelta_").unwrap();
        let type_of = |argument: &str| {
            let words = argument.split_whitespace().collect::<Vec<_>>().join(" ");
            let name_at = words.rfind([' ', '*']).unwrap() + 1;
            words[..name_at].trim().to_owned()
        };
        let mut types: Vec<_> = arguments.split(',').map(type_of).collect();
        types.push(head[..at].trim().to_owned());
        all.insert(head[at..].to_owned(), types);
    }
    all
}

#[test]
fn functions_take_and_give_what_the_header_declares() {
    let mut rust = rust_signatures();
    let version = rust.remove("fwdelta_abi_version").unwrap();
    assert_eq!(version, ["fwdelta_status"], "a number that the header calls uint32_t");
    assert!(header().contains("\nuint32_t fwdelta_abi_version(void);\n"));
    assert!(rust.len() > 20);
    assert_eq!(header_signatures(), rust);
}

/// `UpperCamel` as `UPPER_SNAKE`.
fn upper_snake(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_uppercase());
    }
    out
}

#[test]
fn the_header_has_every_error_number_of_core() {
    let header = header();
    let mut stated = BTreeMap::new();
    for line in header.lines() {
        if let Some(rest) = line.trim().strip_prefix("FWDELTA_E_") {
            let (name, number) = rest.trim_end_matches(',').split_once(" = ").unwrap();
            stated.insert(number.parse::<u16>().unwrap(), name.to_owned());
        }
    }
    let core: BTreeMap<_, _> =
        Detail::ALL.iter().map(|d| (*d as u16, upper_snake(d.name()))).collect();
    assert_eq!(stated, core);
    for detail in Detail::ALL {
        let comment = format!("/* {} */", detail.text());
        assert!(header.contains(&comment), "no {comment}");
    }
}

/// C constants and their values in Rust.
fn constants() -> Vec<(String, u64)> {
    let category = |category: Category| {
        (format!("FWDELTA_{}", upper_snake(&format!("{category:?}"))), category as u64)
    };
    let categories = [
        Category::Format,
        Category::Unsupported,
        Category::Limit,
        Category::Signature,
        Category::Policy,
        Category::WrongOld,
        Category::Corrupt,
        Category::Storage,
        Category::Usage,
        Category::Bug,
    ];
    let mut all: Vec<_> = categories.into_iter().map(category).collect();
    let fixed = [
        ("FWDELTA_OK", 0),
        ("FWDELTA_ABI_VERSION", u64::from(abi::ABI_VERSION)),
        ("FWDELTA_NO_COMPONENT", u64::from(abi::NO_COMPONENT)),
        ("FWDELTA_COMPONENT_COUNT_MAX", COMPONENT_COUNT_MAX as u64),
        ("FWDELTA_HEADER_LEN_MAX", HEADER_LEN_MAX as u64),
        ("FWDELTA_HEADER_LEN_MAX", abi::HEADER_LEN_MAX as u64),
        ("FWDELTA_STATE_WORD_COUNT", abi::STATE_WORD_COUNT as u64),
        ("FWDELTA_BEFORE_DOWNLOAD", 1),
        ("FWDELTA_AFTER_DOWNLOAD", 2),
        ("FWDELTA_BEFORE_UPDATE", 3),
        ("FWDELTA_AFTER_UPDATE", u64::from(MOMENT_MAX)),
        ("FWDELTA_STREAM_WORD_COUNT", abi::STREAM_WORD_COUNT as u64),
        ("FWDELTA_TWO_SLOTS_WORD_COUNT", abi::TWO_SLOTS_WORD_COUNT as u64),
        ("FWDELTA_STREAM_NEEDS_INPUT", u64::from(abi::STREAM_NEEDS_INPUT)),
        ("FWDELTA_STREAM_YIELDS", u64::from(abi::STREAM_YIELDS)),
        ("FWDELTA_STREAM_DONE", u64::from(abi::STREAM_DONE)),
        ("FWDELTA_FOUND_NOTHING", u64::from(abi::FOUND_NOTHING)),
        ("FWDELTA_FOUND_BEGUN", u64::from(abi::FOUND_BEGUN)),
        ("FWDELTA_FOUND_DONE", u64::from(abi::FOUND_DONE)),
        ("FWDELTA_EF_FOTA_LEN", EF_FOTA_LEN as u64),
        ("FWDELTA_EF_FOTA_LEN", abi::EF_FOTA_LEN as u64),
        ("FWDELTA_PLMN_LEN", abi::PLMN_LEN as u64),
        ("FWDELTA_INSTALLED_COUNT_MAX", COMPONENT_COUNT_MAX as u64),
        ("FWDELTA_HANDOFF_LEN", HANDOFF_LEN as u64),
        ("FWDELTA_RESULT_LEN", RESULT_LEN as u64),
        ("FWDELTA_CIPHER_A128GCM", ContentAlgorithm::A128Gcm.number() as u64),
        ("FWDELTA_CIPHER_CHACHA20_POLY1305", ContentAlgorithm::ChaCha20Poly1305.number() as u64),
        ("FWDELTA_ECDH_ES_A128KW", -29i64 as u64),
        ("FWDELTA_A128KW", -3i64 as u64),
        ("FWDELTA_CONTENT_KEY_LEN", CONTENT_KEY_LEN_MAX as u64),
        ("FWDELTA_SIM_ABSENT", u64::from(abi::SIM_ABSENT)),
        ("FWDELTA_SIM_WITHOUT_FOTA", u64::from(abi::SIM_WITHOUT_FOTA)),
        ("FWDELTA_SIM_WITH_FOTA", u64::from(abi::SIM_WITH_FOTA)),
        ("FWDELTA_APPROVED", Basis::Approved as u64),
        ("FWDELTA_UNAPPROVED", Basis::Unapproved as u64),
        ("FWDELTA_WITHOUT_FOTA", Basis::WithoutFota as u64),
        ("FWDELTA_WITHOUT_SIM", Basis::WithoutSim as u64),
        ("FWDELTA_MODE_STRING", fwdelta_core::format::auth::Mode::String as u64),
        ("FWDELTA_MODE_SECRET", fwdelta_core::format::auth::Mode::Secret as u64),
        ("FWDELTA_MODE_SIGNED", fwdelta_core::format::auth::Mode::Signed as u64),
    ];
    all.extend(fixed.map(|(name, value)| (name.to_owned(), value)));
    all
}

/// One C file that compiles only if sizes, offsets and constants are those of Rust.
fn layout_program() -> String {
    let mut conditions = Vec::new();
    macro_rules! layout {
        ($($rust:ident $c:ident: $($field:ident)*;)*) => {$(
            conditions.push(format!(
                "sizeof({}) == {}", stringify!($c), size_of::<abi::$rust>()
            ));
            $(conditions.push(format!(
                "offsetof({}, {}) == {} && sizeof((({} *)0)->{}) == {}",
                stringify!($c), stringify!($field), core::mem::offset_of!(abi::$rust, $field),
                stringify!($c), stringify!($field),
                size_of_field(|value: &abi::$rust| &raw const value.$field),
            ));)*
            // Every field is listed: this does not compile otherwise.
            let _ = |value: abi::$rust| { let abi::$rust { $($field: _),* } = value; };
        )*};
    }
    layout! {
        Source fwdelta_source: abi ctx read;
        Sectors fwdelta_sectors: len count;
        Target fwdelta_target: abi sector_len len write_len erased ctx erase program sync first
            first_count;
        Crypto fwdelta_crypto: abi ctx verify_ed25519 verify_other;
        Flow fwdelta_flow: consumed produced done;
        Decompressor fwdelta_decompressor: abi ctx start run;
        Progress fwdelta_progress: abi ctx step;
        Limits fwdelta_limits: image_len text_len workspace_len envelope_len chunk_len;
        Installed fwdelta_installed: name numbers count;
        Facts fwdelta_facts: abi hardware_count hardware vendor_id class_id device_id time
            free_len has_time has_battery battery has_free_len is_authorized installed_count
            installed;
        Device fwdelta_device: abi sim has_sequence ef_fota plmn sequence facts pending;
        Anchor fwdelta_anchor: anchor len version;
        Outcome fwdelta_outcome: sequence detail manifest;
        Update fwdelta_update: abi package package_len trust trust_len device limits crypto
            decompressor decryptor progress envelope_buf envelope_buf_len work work_len;
        Part fwdelta_part: old old_len payload payload_len slot;
        Summary fwdelta_summary: sequence vendor_id class_id component_count decision
            approval_mode approved_by prompts_len manifest;
        Prompt fwdelta_prompt: text language text_len language_len by_operator;
        Component fwdelta_component: name name_len payload_uri_len payload_uri payload_name
            payload_name_len has_old is_way_back old_len new_len payload_len work_len old_digest
            new_digest payload_digest is_encrypted;
        Flash fwdelta_flash: abi sector_len len write_len erased ctx read erase program sync first
            first_count;
        Decryptor fwdelta_decryptor: abi ctx unwrap open sealing;
        Sealing fwdelta_sealing: recipient nonce;
        Recipient fwdelta_recipient: cipher algorithm kid point wrapped_len wrapped;
        Delta fwdelta_delta: abi header_len cipher payload_pos payload_len decision header;
        DeltaInfo fwdelta_delta_info: old_len new_len payload_len work_len slot_len has_old
            needs_decompressor in_place spare_count page_len old_digest new_digest;
        State fwdelta_state: opaque;
        InPlace fwdelta_in_place: abi delta slot scratch payload limits decryptor progress state
            work work_len;
        StreamState fwdelta_stream_state: opaque;
        Stream fwdelta_stream: abi delta old old_len slot limits decompressor decryptor progress
            state work work_len;
        TwoSlotsState fwdelta_two_slots_state: opaque;
        TwoSlots fwdelta_two_slots: abi delta old old_len slot scratch interval limits decompressor
            decryptor progress state work work_len;
        ResumeAt fwdelta_resume_at: payload_pos new_pos;
        Step fwdelta_step: done page_done page_count;
        Failure fwdelta_error: detail category old_intact component pos;
        Codes fwdelta_codes: fumo install_notify lwm2m;
    }
    for (name, value) in constants() {
        conditions.push(format!("(uint64_t){name} == {value}u"));
    }
    let mut text = "#include \"fwdelta.h\"\n".to_owned();
    for (number, condition) in conditions.iter().enumerate() {
        // Neither C99 nor C++17 has a form of static assertion that both know.
        text += &format!("typedef char as_in_rust_{number}[({condition}) ? 1 : -1];\n");
    }
    text + "int main(void) { return 0; }\n"
}

fn size_of_field<S, F>(_: impl Fn(&S) -> *const F) -> usize {
    size_of::<F>()
}

#[test]
fn sizes_offsets_and_constants_are_equal_in_c99_and_cxx17() {
    let source = Path::new(env!("CARGO_TARGET_TMPDIR")).join("layout.c");
    std::fs::write(&source, layout_program()).unwrap();
    run(c99().args(["-fsyntax-only", "-x", "c"]).arg(&source));
    let mut cxx = compiler("CXX", "c++", "-std=c++17");
    run(cxx.args(["-fsyntax-only", "-x", "c++"]).arg(&source));
}

//! Law: a wrapper that is accepted is exactly what the emitter makes of its claims and proofs.
#![no_main]

use fwdelta_core::format::auth::{self, Authentication};
use fwdelta_core::format::key::Algorithm;
use fwdelta_fuzz::emitted;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(authentication) = Authentication::parse(data, 0) else { return };
    let encode = |block: auth::Block<'_>| {
        let algorithm = block.algorithm.unwrap_or(Algorithm::Ed25519);
        let protected = emitted(|writer| block.claim.emit(writer, algorithm));
        assert_eq!(protected, block.protected);
        emitted(|writer| auth::emit_block(writer, &protected, block.proof))
    };
    let blocks: Vec<_> = authentication.blocks().map(encode).collect();
    let again = emitted(|writer| {
        let blocks = blocks.iter().map(Vec::as_slice);
        auth::emit_wrapper(writer, authentication.digest, blocks)
    });
    assert_eq!(again, data);
});

//! Progress bars on a terminal, and signals that cancel cleanly.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::progress::{Progress, Stage};

/// Set by the first signal; a second one ends the process the usual way.
static CANCELLED: AtomicBool = AtomicBool::new(false);

/// One bar on stderr, drawn only on a terminal.
pub(crate) struct Bar {
    bar: ProgressBar,
    stage: Mutex<Option<Stage>>,
}

impl Bar {
    /// Starts listening for what interrupts, ends or hangs up: temporary files go then, too.
    pub(crate) fn new() -> Self {
        // A handler may be there already when a program embeds the command line, and who started
        // it may have said that signals are ignored, as `nohup` does: then they decide.
        let _ = ctrlc::try_set_handler(|| {
            if CANCELLED.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
        });
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{msg:10} [{bar:32}] {percent:>3}%") {
            bar.set_style(style.progress_chars("=> "));
        }
        Self { bar, stage: Mutex::new(None) }
    }
}

impl Progress for Bar {
    fn report(&self, stage: Stage, done: u64, total: u64) {
        if let Ok(mut last) = self.stage.lock()
            && last.replace(stage) != Some(stage)
        {
            self.bar.set_message(stage.name());
        }
        self.bar.set_length(total);
        self.bar.set_position(done);
    }

    fn is_cancelled(&self) -> bool {
        CANCELLED.load(Ordering::Relaxed)
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

//! Where an update stands, in the words of device management protocols: which state follows which
//! event. The tables are those of docs/status-codes.md.
//!
//! FUMO: the node `State` (OMA-TS-DM-FUMO-V1_0, section 6); LwM2M: resource 3, `State`, of object 5
//! (OMA-TS-LightweightM2M_Core). What became of it is [`super::codes`].

use super::codes::codes_of;
use crate::error::{Category, Detail};

/// Where an update stands. The number is FUMO's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    /// There is none.
    Idle = 10,
    /// The package did not arrive.
    DownloadFailed = 20,
    /// The package is arriving.
    Downloading = 30,
    /// The package is there, whole, and nothing is known of it.
    Downloaded = 40,
    /// It was verified; the user or the device says when it is installed.
    Ready = 50,
    /// It is being installed, or the new image is on trial.
    Updating = 60,
    /// It could not be installed, or the new image did not prove itself; the package is kept.
    FailedKept = 70,
    /// It was refused or could not be installed; the package is gone.
    FailedGone = 80,
    /// The new image runs and is confirmed; the package is still there.
    DoneKept = 90,
    /// The new image runs and is confirmed; the package is gone.
    DoneGone = 100,
}

/// What happens to an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A download begins.
    DownloadStarted,
    /// It is given up.
    DownloadFailed,
    /// All of the package is there.
    DownloadComplete,
    /// Every check before the first write has passed.
    Verified,
    /// One of them did not: the package is of no use and is dropped.
    Refused,
    /// Nothing is wrong with it, but it is not yet time.
    Deferred,
    /// The first write.
    UpdateStarted,
    /// It cannot be finished now; trying again may help.
    UpdateFailed,
    /// The new image has proved itself.
    Confirmed,
    /// It has not: the old image runs again.
    RolledBack,
    /// The package is deleted.
    Dropped,
}

/// Every transition there is: an event in any other stage is none of this update's.
const TRANSITIONS: &[(Stage, Event, Stage)] = &[
    (Stage::Idle, Event::DownloadStarted, Stage::Downloading),
    (Stage::DownloadFailed, Event::DownloadStarted, Stage::Downloading),
    (Stage::FailedGone, Event::DownloadStarted, Stage::Downloading),
    (Stage::DoneGone, Event::DownloadStarted, Stage::Downloading),
    (Stage::Downloading, Event::DownloadFailed, Stage::DownloadFailed),
    (Stage::Downloading, Event::DownloadComplete, Stage::Downloaded),
    (Stage::Downloaded, Event::Verified, Stage::Ready),
    (Stage::Downloaded, Event::Refused, Stage::FailedGone),
    (Stage::Downloaded, Event::Deferred, Stage::Ready),
    (Stage::Downloaded, Event::Dropped, Stage::Idle),
    // It is verified again when the time has come.
    (Stage::Ready, Event::Refused, Stage::FailedGone),
    (Stage::Ready, Event::Deferred, Stage::Ready),
    (Stage::Ready, Event::UpdateStarted, Stage::Updating),
    (Stage::Ready, Event::Dropped, Stage::Idle),
    (Stage::Updating, Event::UpdateFailed, Stage::FailedKept),
    // Of the payload, chunk by chunk.
    (Stage::Updating, Event::Refused, Stage::FailedGone),
    (Stage::Updating, Event::Confirmed, Stage::DoneKept),
    (Stage::Updating, Event::RolledBack, Stage::FailedKept),
    (Stage::FailedKept, Event::UpdateStarted, Stage::Updating),
    (Stage::FailedKept, Event::Dropped, Stage::FailedGone),
    (Stage::DoneKept, Event::Dropped, Stage::DoneGone),
];

impl Stage {
    /// Every stage, in the order of FUMO's numbers.
    pub const ALL: [Self; 10] = [
        Stage::Idle,
        Stage::DownloadFailed,
        Stage::Downloading,
        Stage::Downloaded,
        Stage::Ready,
        Stage::Updating,
        Stage::FailedKept,
        Stage::FailedGone,
        Stage::DoneKept,
        Stage::DoneGone,
    ];

    /// The state of FUMO.
    #[must_use]
    pub const fn fumo(self) -> u8 {
        self as u8
    }

    /// The state of LwM2M: 0 idle, 1 downloading, 2 downloaded, 3 updating. It goes back to 2 after
    /// an update that failed, as the package can be tried again.
    #[must_use]
    pub const fn lwm2m(self) -> u8 {
        match self {
            Stage::Downloading => 1,
            Stage::Downloaded | Stage::Ready | Stage::FailedKept => 2,
            Stage::Updating => 3,
            Stage::Idle
            | Stage::DownloadFailed
            | Stage::FailedGone
            | Stage::DoneKept
            | Stage::DoneGone => 0,
        }
    }

    /// Where a package that is there stands after a refusal or failure.
    #[must_use]
    pub fn left_by(detail: Detail) -> Self {
        let event = Event::of(detail);
        let left = Stage::Updating.after(event).or(Stage::Ready.after(event));
        left.unwrap_or(Stage::FailedGone)
    }

    /// Where the update stands after `event`; none if that cannot happen now.
    #[must_use]
    pub fn after(self, event: Event) -> Option<Self> {
        let fits = |(from, by, _): &&(Self, Event, Self)| (*from, *by) == (self, event);
        TRANSITIONS.iter().find(fits).map(|(_, _, to)| *to)
    }
}

impl Event {
    /// Every event.
    pub const ALL: [Self; 11] = [
        Event::DownloadStarted,
        Event::DownloadFailed,
        Event::DownloadComplete,
        Event::Verified,
        Event::Refused,
        Event::Deferred,
        Event::UpdateStarted,
        Event::UpdateFailed,
        Event::Confirmed,
        Event::RolledBack,
        Event::Dropped,
    ];

    /// What a refusal or failure is to a package that is there. The storage's are no fault of the
    /// package, and a resume is legal.
    #[must_use]
    pub fn of(detail: Detail) -> Self {
        const DEFERRED: u8 = super::codes::DEFERRED.lwm2m;
        match (codes_of(detail).lwm2m, detail.category()) {
            (DEFERRED, _) => Event::Deferred,
            (_, Category::Storage) => Event::UpdateFailed,
            _ => Event::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(events: &[Event]) -> Option<Stage> {
        events.iter().try_fold(Stage::Idle, |stage, event| stage.after(*event))
    }

    #[test]
    fn updates_go_their_ways() {
        use Event::*;
        let there = [DownloadStarted, DownloadComplete];
        let go = |more: &[Event]| walk(&[&there[..], more].concat());
        assert_eq!(go(&[Verified, UpdateStarted, Confirmed, Dropped]), Some(Stage::DoneGone));
        assert_eq!(go(&[Refused]), Some(Stage::FailedGone));
        assert_eq!(go(&[Verified, Deferred, Deferred]), Some(Stage::Ready));
        assert_eq!(go(&[Verified, UpdateStarted, RolledBack]), Some(Stage::FailedKept));
        let again = [Verified, UpdateStarted, UpdateFailed, UpdateStarted, Confirmed];
        assert_eq!(go(&again), Some(Stage::DoneKept));
        assert_eq!(
            walk(&[DownloadStarted, DownloadFailed, DownloadStarted, DownloadComplete]),
            Some(Stage::Downloaded)
        );
        // Nothing is installed that was not verified, nor confirmed that was not installed.
        assert_eq!(go(&[UpdateStarted]), None);
        assert_eq!(go(&[Verified, Confirmed]), None);
        assert_eq!(walk(&[Verified]), None);
    }

    #[test]
    fn every_stage_is_reached_and_left_by_one_way_for_each_event() {
        for (index, (from, event, to)) in TRANSITIONS.iter().enumerate() {
            assert_eq!(from.after(*event), Some(*to), "transition {index} is hidden");
        }
        for stage in Stage::ALL {
            assert!(TRANSITIONS.iter().any(|(_, _, to)| *to == stage), "{stage:?}");
            assert!(TRANSITIONS.iter().any(|(from, ..)| *from == stage), "{stage:?}");
        }
        for event in Event::ALL {
            assert!(TRANSITIONS.iter().any(|(_, by, _)| *by == event), "{event:?}");
        }
    }

    #[test]
    fn what_a_detail_does_to_a_package() {
        assert_eq!(Stage::left_by(Detail::BatteryLow), Stage::Ready);
        assert_eq!(Stage::left_by(Detail::WriteFailed), Stage::FailedKept);
        assert_eq!(Stage::left_by(Detail::BadSignature), Stage::FailedGone);
        assert_eq!(Stage::left_by(Detail::NewDigest), Stage::FailedGone);
        for detail in Detail::ALL {
            // What LwM2M calls deferred stays downloaded.
            let is_ready = Stage::left_by(*detail) == Stage::Ready;
            assert_eq!(codes_of(*detail).lwm2m == 11, is_ready, "{detail:?}");
        }
    }
}

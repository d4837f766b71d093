//! The spool on a real disk.
#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;

const UNLIMITED: u64 = 0;

fn event(id: Uuid) -> String {
    format!("{{\"event_id\":\"{id}\"}}")
}

fn with_picture(id: Uuid, picture_bytes: usize) -> String {
    format!("{{\"event_id\":\"{id}\",\"snapshot\":\"{}\"}}", "A".repeat(picture_bytes))
}

fn line_of(spool: &Spool, id: Uuid) -> String {
    match spool.fetch(id) {
        Fetched::Line(line) => line,
        other => panic!("{other:?}"),
    }
}

#[test]
fn events_outlive_the_process_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let ids: Vec<Uuid> = (0..5).map(|_| Uuid::now_v7()).collect();
    let spool = Spool::open(dir.path(), UNLIMITED).unwrap();
    for id in ids.iter().rev() {
        assert_eq!(spool.keep(*id, &event(*id)).unwrap(), Kept::Whole);
    }
    drop(spool);

    let spool = Spool::open(dir.path(), UNLIMITED).unwrap();
    assert_eq!(spool.scan(100).unwrap(), (ids.clone(), false));
    assert_eq!(spool.scan(2).unwrap(), (ids[..2].to_vec(), true));
    assert_eq!(line_of(&spool, ids[0]), event(ids[0]));
    spool.remove(ids[0]).unwrap();
    spool.remove(ids[0]).unwrap();
    assert!(matches!(spool.fetch(ids[0]), Fetched::Gone));
    spool.reject(ids[1]).unwrap();
    assert!(dir.path().join("rejected").join(format!("{}.json", ids[1])).is_file());
    assert_eq!(spool.scan(100).unwrap().0, &ids[2..]);
}

#[test]
fn foreign_and_half_written_files_are_no_events() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("notes.json"), "x").unwrap();
    fs::write(dir.path().join(format!("{}.tmp", Uuid::now_v7())), "{").unwrap();
    let spool = Spool::open(dir.path(), UNLIMITED).unwrap();
    assert_eq!(spool.scan(10).unwrap(), (vec![], false));
}

#[test]
fn files_without_an_event_in_them_are_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path(), UNLIMITED).unwrap();
    // What a power cut leaves behind: nothing, zeros, a part.
    for content in [&b""[..], &[0; 700], b"{\"event_id\":", b"\xff\xfe"] {
        let id = Uuid::now_v7();
        fs::write(spool.path(id), content).unwrap();
        assert!(matches!(spool.fetch(id), Fetched::Damaged(text) if text.contains("damaged")), "{content:?}");
        assert_eq!(fs::read(dir.path().join("damaged").join(format!("{id}.json"))).unwrap(), content);
    }
    assert_eq!(spool.scan(10).unwrap(), (vec![], false));
}

#[test]
fn pictures_go_first_and_then_the_newest_event() {
    let dir = tempfile::tempdir().unwrap();
    // Four files with a picture fill three quarters; four without fill the rest.
    let spool = Spool::open(dir.path(), 16 * BLOCK_BYTES).unwrap();
    let picture_bytes = 3 * BLOCK_BYTES as usize - 200;
    let ids: Vec<Uuid> = (0..9).map(|_| Uuid::now_v7()).collect();
    let kept = |id: &Uuid| spool.keep(*id, &with_picture(*id, picture_bytes)).map_err(|error| error.kind());
    let outcomes: Vec<_> = ids.iter().map(kept).collect();
    let (whole, bare) = (Ok(Kept::Whole), Ok(Kept::WithoutPicture));
    assert_eq!(outcomes[..8], [whole, whole, whole, whole, bare, bare, bare, bare]);
    assert_eq!(outcomes[8], Err(io::ErrorKind::QuotaExceeded));
    assert_eq!(spool.scan(100).unwrap().0, &ids[..8], "nothing that was taken is dropped");
    assert!(line_of(&spool, ids[3]).contains("snapshot"));
    assert_eq!(line_of(&spool, ids[4]), event(ids[4]));
    assert!(!spool.is_roomy());

    // What is sent makes room, and what lies there counts from the start.
    spool.remove(ids[0]).unwrap();
    assert_eq!(spool.keep(ids[8], &event(ids[8])).unwrap(), Kept::Whole);
    let again = Spool::open(dir.path(), 16 * BLOCK_BYTES).unwrap();
    assert_eq!(again.used_bytes(), spool.used_bytes());
    ids[1..4].iter().for_each(|id| spool.remove(*id).unwrap());
    assert!(spool.is_roomy());
}

#[test]
fn no_more_than_some_files_are_kept_aside() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path(), UNLIMITED).unwrap();
    let rejected = dir.path().join(REJECTED_DIR);
    create_private_dir(&rejected).unwrap();
    let ids: Vec<Uuid> = (0..=SET_ASIDE_KEPT).map(|_| Uuid::now_v7()).collect();
    for id in &ids[..SET_ASIDE_KEPT] {
        fs::write(rejected.join(format!("{id}.json")), "{}").unwrap();
    }
    let newest = ids[SET_ASIDE_KEPT];
    spool.keep(newest, &event(newest)).unwrap();
    spool.reject(newest).unwrap();
    assert_eq!(events_in(&rejected).unwrap(), &ids[1..]);
}

#[test]
fn one_courier_at_a_time_has_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    let claim = Claim::of(dir.path()).unwrap();
    assert!(claim.is_some());
    assert!(Claim::of(dir.path()).unwrap().is_none());
    drop(claim);
    assert!(Claim::of(dir.path()).unwrap().is_some());
}

#[test]
fn only_the_owner_may_read_events() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(&dir.path().join("spool"), UNLIMITED).unwrap();
    let id = Uuid::now_v7();
    spool.keep(id, "{}").unwrap();
    assert_eq!(fs::metadata(spool.path(id)).unwrap().permissions().mode() & 0o077, 0);
    assert_eq!(fs::metadata(&spool.dir).unwrap().permissions().mode() & 0o077, 0);
}

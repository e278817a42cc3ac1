//! `FlowStore`: drafts, immutable versions, which version is live.

use ports::{Draft, FlowVersion, PortError};

use crate::backend::Backend;
use crate::check::{assert_error, sorted};
use crate::sample::at;

const SOURCE: &str = r#"
flow: leave-request
name: {en: Leave, zh-TW: 請假申請}
triggers:
  - {on: keyword, any: [請假, leave], when_busy: interrupt}
vars:
  start: {type: date}
  days: {type: integer, default: 1}
start: ask_start
timeout: {after: 7d, outcome: expired}
steps:
  ask_start:
    type: ask
    text: 請問從哪一天開始請假？
    into: start
    expect: {type: date}
    next: tell
  tell:
    type: say
    text: "已送出：{{ start }} ✅"
    next: done
  done: {type: end, outcome: completed}
"#;

fn draft(flow: &str, revision: u64) -> Draft {
    Draft {
        flow: flow.into(),
        source: format!("# revision {revision}\n{SOURCE}"),
        revision,
        updated_at: at(i64::try_from(revision).unwrap()),
        updated_by: "admin".into(),
    }
}

fn version(flow: &str, version: u32) -> FlowVersion {
    let source = format!("# version {version}\n{SOURCE}");
    let mut document = match flow::parse(&source) {
        Ok(parsed) => parsed.flow,
        Err(problems) => panic!("{problems:?}"),
    };
    document.id = flow.into();
    FlowVersion {
        document,
        source,
        version,
        published_at: at(100 + i64::from(version)),
        published_by: "admin".into(),
        rollback_of: (version == 3).then_some(1),
    }
}

/// "Writes a draft whose stored revision must be one less than `draft.revision` (1: new)."
pub async fn a_draft_must_be_one_revision_behind(backend: Backend) {
    let flows = &backend.flows;
    assert_eq!(flows.draft("leave-request").await.unwrap(), None);
    let ahead = flows.put_draft(&draft("leave-request", 2)).await;
    assert_error!(ahead, PortError::Conflict { .. });
    flows.put_draft(&draft("leave-request", 1)).await.unwrap();
    for revision in [1, 3] {
        let wrong = flows.put_draft(&draft("leave-request", revision)).await;
        assert_error!(wrong, PortError::Conflict { .. });
    }
    let stored = flows.draft("leave-request").await.unwrap();
    assert_eq!(stored, Some(draft("leave-request", 1)), "a refused draft changes nothing");
    flows.put_draft(&draft("leave-request", 2)).await.unwrap();
    let stored = flows.draft("leave-request").await.unwrap();
    assert_eq!(stored, Some(draft("leave-request", 2)));
    flows.put_draft(&draft("other", 1)).await.unwrap();
    let stored = flows.draft("leave-request").await.unwrap();
    assert_eq!(stored, Some(draft("leave-request", 2)), "another flow is another draft");
}

/// "Adds a version, whose number must be the next one, and makes it live."
pub async fn versions_are_numbered_without_gaps(backend: Backend) {
    let flows = &backend.flows;
    assert_error!(flows.publish(&version("leave-request", 2)).await, PortError::Conflict { .. });
    assert_eq!(flows.live().await.unwrap(), []);
    for number in 1..=3 {
        flows.publish(&version("leave-request", number)).await.unwrap();
        assert_eq!(flows.live().await.unwrap(), [("leave-request".to_owned(), number)]);
    }
    for number in [1, 3, 5] {
        let wrong = flows.publish(&version("leave-request", number)).await;
        assert_error!(wrong, PortError::Conflict { .. });
    }
    assert_eq!(flows.live().await.unwrap(), [("leave-request".to_owned(), 3)]);
    flows.publish(&version("booking", 1)).await.unwrap();
    let expected = [("booking".to_owned(), 1), ("leave-request".to_owned(), 3)];
    assert_eq!(sorted(flows.live().await.unwrap()), expected);
}

/// A published version comes back as it was parsed and as it was written, for good.
pub async fn versions_are_immutable(backend: Backend) {
    let flows = &backend.flows;
    assert_eq!(flows.version("leave-request", 1).await.unwrap(), None);
    assert_eq!(flows.versions("leave-request").await.unwrap(), []);
    for number in 1..=3 {
        flows.publish(&version("leave-request", number)).await.unwrap();
    }
    let mut other = version("leave-request", 1);
    other.published_by = "somebody else".into();
    assert_error!(flows.publish(&other).await, PortError::Conflict { .. });
    for number in 1..=3 {
        let stored = flows.version("leave-request", number).await.unwrap();
        assert_eq!(stored, Some(version("leave-request", number)));
    }
    let stored = flows.version("leave-request", 1).await.unwrap().unwrap();
    let order: Vec<&String> = stored.document.steps.keys().collect();
    assert_eq!(order, ["ask_start", "tell", "done"], "steps keep the order of the document");
    for number in [0, 4, u32::MAX] {
        assert_eq!(flows.version("leave-request", number).await.unwrap(), None);
    }
    let all = flows.versions("leave-request").await.unwrap();
    let numbers: Vec<u32> = all.iter().map(|one| one.version).collect();
    assert_eq!(numbers, [3, 2, 1], "newest first");
    assert_eq!(all.first().and_then(|one| one.rollback_of), Some(1));
}

/// "Every flow": those with a draft, those that are live, and those with both, once.
pub async fn flows_are_listed(backend: Backend) {
    let flows = &backend.flows;
    assert_eq!(flows.list_flows().await.unwrap(), []);
    flows.put_draft(&draft("only-draft", 1)).await.unwrap();
    flows.publish(&version("only-live", 1)).await.unwrap();
    flows.publish(&version("both", 1)).await.unwrap();
    flows.publish(&version("both", 2)).await.unwrap();
    flows.put_draft(&draft("both", 1)).await.unwrap();
    let mut listed: Vec<_> = flows
        .list_flows()
        .await
        .unwrap()
        .into_iter()
        .map(|one| (one.flow, one.draft_revision, one.live, one.updated_at))
        .collect();
    listed.sort();
    let expected = [
        ("both".to_owned(), Some(1), Some(2), at(102)),
        ("only-draft".to_owned(), Some(1), None, at(1)),
        ("only-live".to_owned(), None, Some(1), at(101)),
    ];
    assert_eq!(listed, expected, "`updated_at` is the later of draft and live version");
}

/// Ten at once publish the same number: one of them wins.
pub async fn one_publisher_wins(backend: Backend) {
    let version = version("leave-request", 1);
    let results = futures::future::join_all((0..10).map(|_| {
        let (flows, version) = (backend.flows.clone(), version.clone());
        async move { tokio::spawn(async move { flows.publish(&version).await }).await.unwrap() }
    }))
    .await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    for result in results.into_iter().filter(Result::is_err) {
        assert_error!(result, PortError::Conflict { .. });
    }
    assert_eq!(backend.flows.versions("leave-request").await.unwrap().len(), 1);
}

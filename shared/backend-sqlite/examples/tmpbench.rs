#![allow(warnings)]
use backend_sqlite::*;
use engine::*;
use ports::*;
use ports_contract::*;
use std::sync::Arc;
use std::time::Instant;
struct S;
#[async_trait::async_trait]
impl Clock for S {
    fn now(&self) -> chrono::DateTime<chrono::Utc> {
        at(0)
    }
    async fn sleep_until(&self, _: chrono::DateTime<chrono::Utc>) {}
}
const WORDS: &[&str] = &[
    "hotel",
    "restaurant",
    "taxi",
    "train",
    "book",
    "please",
    "cheap",
    "centre",
    "north",
    "price",
    "range",
    "need",
    "find",
    "looking",
    "guesthouse",
    "free",
    "wifi",
    "parking",
    "people",
    "nights",
    "monday",
    "cambridge",
    "leaving",
    "arrive",
];
const ZH: &[&str] = &[
    "我要請假三天",
    "請問有沒有便宜的飯店",
    "幫我訂計程車",
    "從星期一開始",
    "謝謝你的幫忙",
    "餐廳在市中心嗎",
    "ホテルを予約したいです",
];
#[tokio::main]
async fn main() {
    let dir = std::env::args().nth(1).unwrap();
    let n: usize = std::env::args().nth(2).unwrap().parse().unwrap();
    let conc: usize = std::env::args().nth(3).unwrap().parse().unwrap();
    let db =
        Sqlite::open(&std::path::Path::new(&dir).join("b.db"), Options::new(Arc::new(S))).unwrap();
    let make = Arc::new(Samples::new(1));
    let t = Instant::now();
    let mut hs = vec![];
    let next = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    for _ in 0..conc {
        let (db, make, next) = (db.clone(), make.clone(), next.clone());
        hs.push(tokio::spawn(async move {
            loop {
                let i = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                if i >= n {
                    break;
                }
                let mut b = make.begin();
                let s = i as i64;
                b.task.created_at = at(s);
                b.task.updated_at = at((s * 7919) % 1000000);
                b.task.flow = ["leave-request", "booking", "support"][i % 3].into();
                b.task.label = format!("{} {}", ["Leave", "Booking", "請假"][i % 3], i);
                if i % 50 == 0 {
                    b.task.status = Status::Failed { step: None, reason: "x".into() }
                } else if i % 1000 == 7 {
                    b.task.status =
                        sample::waiting(Wait::Human { queue: "hr".into(), assignee: None })
                } else if i % 3 == 0 {
                    b.task.status = Status::Completed {
                        outcome: "done".into(),
                        result: serde_json::Value::Null,
                    }
                }
                b.commit.tasks = vec![sample::create(&b.task)];
                let mut ms = vec![];
                for k in 0..2 {
                    let mut m = make.message(
                        &b.conversation,
                        &if i % 4 == 0 {
                            ZH[(i / 4 + k) % ZH.len()].to_string()
                        } else {
                            (0..8)
                                .map(|j| WORDS[(i * 7 + k * 3 + j * j * 5) % WORDS.len()])
                                .collect::<Vec<_>>()
                                .join(" ")
                        },
                    );
                    m.created_at = at(s);
                    m.task = Some(b.task.id.clone());
                    ms.push(MessageWrite { message: m, expected: None });
                }
                b.commit.messages = ms;
                b.commit.outbox = vec![make.timer(at(10000 + s))];
                db.commit(b.commit).await.unwrap();
            }
        }));
    }
    for h in hs {
        h.await.unwrap();
    }
    let e = t.elapsed();
    println!(
        "begin: {n} commits (conv+task+2 msgs+history+event+timer) in {e:?} = {:.0}/s",
        n as f64 / e.as_secs_f64()
    );
    // three-row commits: event + conversation update + message
    let m = 50_000.min(n);
    let t = Instant::now();
    let mut hs = vec![];
    let next = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    for _ in 0..conc {
        let (db, make, next) = (db.clone(), make.clone(), next.clone());
        hs.push(tokio::spawn(async move {
            loop {
                let i = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                if i >= m {
                    break;
                }
                let c = make.conversation();
                let mut msg = make.message(&c, "two nights please hotel");
                msg.created_at = at(2_000_000 + i as i64);
                let commit = Commit {
                    conversation: Some(c),
                    messages: vec![MessageWrite { message: msg, expected: None }],
                    ..make.commit()
                };
                db.commit(commit).await.unwrap();
            }
        }));
    }
    for h in hs {
        h.await.unwrap();
    }
    let e = t.elapsed();
    println!("three-row: {m} commits in {e:?} = {:.0}/s", m as f64 / e.as_secs_f64());
    let t = Instant::now();
    for i in 0..500 {
        let c = make.conversation();
        db.commit(Commit { conversation: Some(c), ..make.commit() }).await.unwrap();
    }
    println!("one by one: {:?} each", t.elapsed() / 500);
    println!(
        "size {} MB",
        std::fs::metadata(std::path::Path::new(&dir).join("b.db")).unwrap().len() / 1_000_000
    );
    let mut names: Vec<(String, TaskFilter)> = vec![];
    for sort in [Sort::CreatedDesc, Sort::CreatedAsc, Sort::UpdatedDesc, Sort::UpdatedAsc] {
        let f = || TaskFilter { sort, ..Default::default() };
        names.push((format!("{sort:?} all"), f()));
        names.push((
            format!("{sort:?} status failed"),
            TaskFilter { status: Some("failed".into()), ..f() },
        ));
        names.push((
            format!("{sort:?} flow+failed"),
            TaskFilter { flow: Some("booking".into()), status: Some("failed".into()), ..f() },
        ));
        names
            .push((format!("{sort:?} flow none"), TaskFilter { flow: Some("none".into()), ..f() }));
        names.push((
            format!("{sort:?} waiting human"),
            TaskFilter { waiting_for: Some("human".into()), ..f() },
        ));
        names.push((
            format!("{sort:?} queue hr + booking"),
            TaskFilter { queue: Some("hr".into()), flow: Some("booking".into()), ..f() },
        ));
        names.push((
            format!("{sort:?} flow+reply"),
            TaskFilter { waiting_for: Some("reply".into()), flow: Some("support".into()), ..f() },
        ));
        names.push((
            format!("{sort:?} contact"),
            TaskFilter { contact: Some("user-1-5000".into()), ..f() },
        ));
        for l in ["Leave", "假", "4242", "請假 99", "nothing at all"] {
            names
                .push((format!("{sort:?} label {l}"), TaskFilter { label: Some(l.into()), ..f() }));
        }
        names.push((
            format!("{sort:?} label leave + failed"),
            TaskFilter { label: Some("leave".into()), status: Some("failed".into()), ..f() },
        ));
        for q in [
            "hotel",
            "h",
            "請",
            "請假",
            "計程車",
            "hotel 請假",
            "zzz",
            "user-1-77",
            "hotel cheap wifi",
        ] {
            names.push((format!("{sort:?} q {q}"), TaskFilter { q: Some(q.into()), ..f() }));
        }
        names.push((
            format!("{sort:?} created_before"),
            TaskFilter { created_before: Some(at(1000)), ..f() },
        ));
    }
    let mut all = vec![];
    for (name, f) in names {
        let mut cur = None;
        let mut worst = std::time::Duration::ZERO;
        let mut got = 0;
        let mut first = None;
        for _ in 0..4 {
            let t = Instant::now();
            let p = db.list_tasks(&f, &Page { limit: 50, cursor: cur.clone() }).await.unwrap();
            let e = t.elapsed();
            first.get_or_insert(e);
            all.push(e);
            worst = worst.max(e);
            got += p.items.len();
            cur = p.next;
            if cur.is_none() {
                break;
            }
        }
        println!("{name}: first {:?} worst {worst:?} items {got}", first.unwrap());
    }
    for newest_first in [true, false] {
        for q in [
            None,
            Some("hotel"),
            Some("h"),
            Some("請"),
            Some("請假"),
            Some("hotel wifi"),
            Some("zzz"),
            Some("two nights"),
        ] {
            for conn in [None, Some("demo"), Some("none")] {
                for st in [None, Some(MessageState::Failed), Some(MessageState::Sent)] {
                    let f = MessageFilter {
                        newest_first,
                        q: q.map(str::to_owned),
                        connection: conn.map(str::to_owned),
                        state: st,
                        ..Default::default()
                    };
                    let t = Instant::now();
                    let p = db.list_messages(&f, &Page { limit: 50, cursor: None }).await.unwrap();
                    let e = t.elapsed();
                    all.push(e);
                    println!(
                        "msgs newest {newest_first} {q:?} {conn:?} {st:?}: {e:?} {}",
                        p.items.len()
                    );
                }
            }
        }
    }
    let t = Instant::now();
    db.task_counts().await.unwrap();
    println!("counts {:?}", t.elapsed());
    let t = Instant::now();
    db.backlog().await.unwrap();
    println!("backlog {:?}", t.elapsed());
    let t = Instant::now();
    db.due(at(10010), 100).await.unwrap();
    println!("due {:?}", t.elapsed());
    let t = Instant::now();
    db.after(0, 100).await.unwrap();
    println!("after {:?}", t.elapsed());
    let t = Instant::now();
    db.next_due().await.unwrap();
    println!("next_due {:?}", t.elapsed());
    all.sort();
    println!(
        "p50 {:?} p95 {:?} max {:?}",
        all[all.len() / 2],
        all[all.len() * 95 / 100],
        all.last().unwrap()
    );
    let t = Instant::now();
    db.close().await;
    println!("close {:?}", t.elapsed());
}

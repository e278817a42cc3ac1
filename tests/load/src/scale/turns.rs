//! What a turn costs in a small file and in a large one.

use serde::Serialize;

use super::files::{Content, Made};
use super::{Bench, On};
use crate::talk::{TURNS, Talk, Talked, talk};

/// People who talk at the same time.
const USERS: u32 = 64;
/// Conversations before anything is measured.
const WARM: u32 = 128;
/// Measurements of each file, one after the other; the one in the middle counts.
const ROUNDS: u32 = 3;

/// What turns cost in a file.
#[derive(Debug, Clone, Serialize)]
pub struct Cost {
    /// Tasks in the file.
    pub tasks: usize,
    /// Processor time of the server for a thousand turns, what it did after the last reply
    /// included: the middle of three.
    pub cpu_millis_per_1000_turns: f64,
    /// The least of the three, and the most.
    pub cpu_millis_range: (f64, f64),
    /// From the message to its reply, in the same round.
    pub p50_millis: f64,
    /// The same.
    pub p99_millis: f64,
    /// Turns in a second, in the same round.
    pub turns_per_second: f64,
}

/// Measures both files, in turn.
///
/// # Errors
/// Where a reply does not come.
pub(super) async fn measure(
    bench: &Bench<'_>,
    small: &Content,
    large: &Content,
    made: &mut Vec<Made>,
) -> anyhow::Result<(Cost, Cost)> {
    let (small_on, large_on) = (bench.server(small, made).await?, bench.server(large, made).await?);
    let (mut of_small, mut of_large) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        for (on, costs, content) in
            [(&small_on, &mut of_small, small), (&large_on, &mut of_large, large)]
        {
            eprintln!("turns with {} tasks in the file…", content.tasks);
            let cost = once(bench, on, content, round).await?;
            // The first round warms both.
            if round > 0 {
                costs.push(cost);
            }
        }
    }
    small_on.stop().await?;
    large_on.stop().await?;
    Ok((middle(of_small)?, middle(of_large)?))
}

async fn once(bench: &Bench<'_>, on: &On, content: &Content, round: u32) -> anyhow::Result<Cost> {
    let conversations = if round == 0 { WARM } else { (bench.args.turns / TURNS).max(USERS) };
    let said = Talk {
        name: format!("scale-{}-{round}", content.tasks),
        webhook: on.server.webhook(),
        users: USERS,
        conversations,
        per_second: None,
    };
    on.server.settle(bench.client).await?;
    let before = on.server.usage()?;
    let talked: Talked = talk(bench.client, &bench.sink.replies, &said).await?;
    on.server.settle(bench.client).await?;
    let cpu = on.server.usage()?.cpu.saturating_sub(before.cpu).as_secs_f64();
    let cpu = cpu * 1e6 / f64::from(talked.turns);
    Ok(Cost {
        tasks: content.tasks,
        cpu_millis_per_1000_turns: cpu,
        cpu_millis_range: (cpu, cpu),
        p50_millis: talked.turn.percentile(50),
        p99_millis: talked.turn.percentile(99),
        turns_per_second: talked.per_second(),
    })
}

fn middle(mut costs: Vec<Cost>) -> anyhow::Result<Cost> {
    costs.sort_by(|a, b| a.cpu_millis_per_1000_turns.total_cmp(&b.cpu_millis_per_1000_turns));
    let of = |cost: Option<&Cost>| cost.map(|cost| cost.cpu_millis_per_1000_turns);
    let range = of(costs.first()).zip(of(costs.last())).unwrap_or_default();
    let middle = costs.get(costs.len() / 2).cloned();
    let middle = middle.ok_or_else(|| anyhow::anyhow!("nothing was measured"))?;
    Ok(Cost { cpu_millis_range: range, ..middle })
}

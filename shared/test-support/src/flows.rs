//! Flows from text.

use flow::Flow;

/// The flow that this YAML or JSON is; panics with all its problems where it is none.
pub fn flow(source: &str) -> Flow {
    match flow::parse(source) {
        Ok(parsed) => parsed.flow,
        Err(problems) => {
            let problems: Vec<String> =
                problems.iter().map(|problem| format!("  {problem}")).collect();
            panic!("this is no flow:\n{}\n{source}", problems.join("\n"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::flow;

    #[test]
    fn a_flow_is_parsed() {
        let flow = flow("flow: hi\nstart: done\nsteps:\n  done: {type: end, outcome: completed}\n");
        assert_eq!((flow.id.as_str(), flow.start.as_str(), flow.steps.len()), ("hi", "done", 1));
    }

    #[test]
    fn all_problems_are_told() {
        let told = std::panic::catch_unwind(|| flow("flow: 7\nstrat: done\n")).unwrap_err();
        let told = told.downcast_ref::<String>().unwrap();
        assert!(told.contains("strat") && told.contains("steps"), "{told}");
    }
}

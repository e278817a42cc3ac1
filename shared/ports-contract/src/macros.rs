//! One test for each case.

/// Makes a module of tests: one for each case of the group that the backend of `$make` passes.
#[doc(hidden)]
#[macro_export]
macro_rules! __cases {
    ($make:path, $group:ident: $($case:ident),+ $(,)?) => {
        mod $group {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    $crate::$group::$case($make().await).await;
                }
            )+
        }
    };
}

/// The same under faults.
#[doc(hidden)]
#[macro_export]
macro_rules! __faulty_cases {
    ($make:path, $group:ident: $($case:ident),+ $(,)?) => {
        mod $group {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    $crate::faulty::run(async || $make().await, async |backend| {
                        $crate::$group::$case(backend).await;
                    })
                    .await;
                }
            )+
        }
    };
}

/// The contract of every port as tests of a backend.
///
/// `contract_tests!(make)` takes the path of an `async fn make() -> Backend` that opens an empty
/// store, and makes one `#[tokio::test]` of every case, in a module for each group. A backend
/// that lacks a part names the groups it has, with the reason in a comment at the call:
/// `contract_tests!(make, turn_store, queries)`. Wrap the call in a module to run it twice in one
/// file. The crate that calls it needs `tokio` with `macros` and `rt-multi-thread`.
#[macro_export]
macro_rules! contract_tests {
    ($make:path) => {
        $crate::contract_tests!(
            $make, turn_store, concurrency, queries, flows, config, failures, bus, warehouse,
            secrets, restart
        );
    };
    ($make:path, $($group:ident),+ $(,)?) => {
        $( $crate::__contract_group!($make, $group); )+
    };
}

/// The cases of one group. A test of this crate compares these lists with the functions.
#[doc(hidden)]
#[macro_export]
macro_rules! __contract_group {
    ($make:path, turn_store) => {
        $crate::__cases!($make, turn_store:
            a_commit_is_read_back, what_does_not_exist_is_left_out, a_commit_may_be_small,
            many_tasks_are_one_batch, nothing_is_lost_in_translation, an_event_takes_effect_once,
            a_duplicate_comes_before_a_conflict, a_conflict_does_not_use_up_the_event,
            failures_are_kept_with_the_commit, a_long_conversation_keeps_up,
            one_commit_writes_a_task_once, a_conversation_must_be_one_revision_behind,
            a_conversation_begins_at_revision_one, a_task_must_have_the_expected_sequence,
            a_message_must_have_the_expected_revision, history_is_never_written_over,
            an_answer_is_kept_once, a_stale_conversation_stops_it_all,
            a_stale_task_stops_it_all, an_existing_task_stops_it_all,
            a_stale_message_stops_it_all, an_existing_row_of_history_stops_it_all,
            a_second_answer_stops_it_all, an_envelope_that_is_too_large_stops_it_all,
            a_good_commit_does_it_all, the_outbox_is_published_or_handed_over,
            what_nobody_published_is_found, only_what_was_marked_is_published,
            caller_and_sweeper_may_both_publish, commits_publish_in_their_order,
            a_redelivered_event_brings_its_outbox, a_timer_is_found_until_it_is_done,
            overdue_timers_are_found_in_order, every_outbox_arrives,
            a_withdrawn_timer_does_not_fire,
            an_unpublished_timer_can_be_withdrawn, a_timer_is_replaced_in_one_step,
            awaiting_follows_the_status, several_tasks_await_one_event,
            an_answer_is_kept_until_it_expires, an_expired_key_is_free_again,
            forgetting_is_bounded, forgetting_keeps_what_has_not_expired,
        );
    };
    ($make:path, concurrency) => {
        $crate::__cases!($make, concurrency:
            one_wins_per_revision, no_change_is_lost, no_change_of_few_is_lost,
            an_event_takes_effect_once_at_once, conversations_do_not_disturb_each_other,
            a_bad_neighbour_does_no_harm,
        );
    };
    ($make:path, queries) => {
        $crate::__cases!($make, queries:
            every_task_filter_alone, every_two_task_filters_together, all_task_filters_together,
            tasks_come_in_each_order, filters_follow_a_change, tasks_are_counted,
            the_store_answers, every_message_filter, messages_come_in_both_orders,
            message_filters_follow_a_change, history_is_read_in_parts, conversations_are_listed,
            pages_give_every_task_once, pages_give_every_message_once,
            pages_hold_while_tasks_come, pages_hold_while_messages_come,
            a_malformed_cursor_is_invalid, a_limit_out_of_range_does_no_harm,
            chinese_words_are_found, japanese_words_are_found,
            english_words_and_prefixes_are_found, full_width_is_half_width,
            mixed_words_are_found, operators_are_words, no_query_breaks_the_search,
            words_beside_nul_and_emoji_are_found, the_search_follows_a_change,
            search_and_filters_go_together, tasks_are_found_by_words,
            task_search_follows_a_change,
        );
    };
    ($make:path, flows) => {
        $crate::__cases!($make, flows:
            a_draft_must_be_one_revision_behind, versions_are_numbered_without_gaps,
            versions_are_immutable, flows_are_listed, one_publisher_wins,
        );
    };
    ($make:path, config) => {
        $crate::__cases!($make, config:
            connections_are_kept, keys_are_kept, queues_are_kept, tables_are_kept,
        );
    };
    ($make:path, failures) => {
        $crate::__cases!($make, failures:
            a_failure_is_kept, settling_is_guarded, settling_publishes, failures_are_listed,
        );
    };
    ($make:path, bus) => {
        $crate::__cases!($make, bus:
            what_is_published_is_delivered, deliveries_are_read_in_parts,
            an_id_is_published_once, timers_come_due_in_order, the_next_due_time_is_known,
            what_is_acknowledged_is_done, giving_up_publishes_instead, tries_are_counted,
            a_reader_can_wait, the_backlog_is_counted, an_envelope_has_a_largest_size,
            publishers_at_once_keep_their_order,
        );
    };
    ($make:path, warehouse) => {
        $crate::__cases!($make, warehouse:
            ensuring_is_idempotent, base_tables_are_made, rows_come_back_as_they_landed,
            meta_columns_need_not_be_named, new_columns_are_added,
            a_refused_change_changes_nothing, refused_rows_stand_alone,
            the_current_view_has_one_row_per_key, a_table_without_a_key_counts_deliveries_once,
            pages_hold_while_rows_land, a_malformed_warehouse_cursor_is_invalid,
            quarantine_keeps_rows, quarantined_rows_are_replaced_and_released,
        );
    };
    ($make:path, secrets) => {
        $crate::__cases!($make, secrets:
            secrets_are_kept, secret_names_are_listed, secrets_do_not_show,
        );
    };
    ($make:path, restart) => {
        $crate::__cases!($make, restart:
            a_commit_survives, deliveries_survive, administration_survives, event_keys_survive,
        );
    };
}

/// What each fault of [`Faulty`](crate::Faulty) is, and the suites under faults: every call is
/// repeated until it works, and the end must be the same.
///
/// `contract_tests_faulty!(make)` runs every group; a backend that pushes leaves those out that
/// read deliveries: `contract_tests_faulty!(make, turn_store, concurrency)`.
///
/// Cases about who is told `Duplicate` or handed an outbox are left out: a caller whose answers
/// get lost cannot tell. So are those that compare the order across keys.
#[macro_export]
macro_rules! contract_tests_faulty {
    ($make:path) => {
        $crate::contract_tests_faulty!($make, faulty, turn_store, concurrency, bus);
    };
    ($make:path, $($group:ident),+ $(,)?) => {
        mod faults {
            use super::*;
            $( $crate::__faulty_group!($make, $group); )+
        }
    };
}

/// The cases of one group that say something under faults.
#[doc(hidden)]
#[macro_export]
macro_rules! __faulty_group {
    ($make:path, faulty) => {
        $crate::__cases!($make, faulty:
            without_rates_nothing_happens, a_refused_commit_has_changed_nothing,
            a_lost_answer_is_a_duplicate, a_crash_leaves_the_outbox_to_the_sweeper,
            reordering_keeps_every_key_in_order, a_delay_ends, a_commit_does_not_overtake_a_delay,
            deliveries_come_twice, the_seed_decides,
        );
    };
    ($make:path, turn_store) => {
        $crate::__faulty_cases!($make, turn_store:
            a_commit_is_read_back, what_does_not_exist_is_left_out, many_tasks_are_one_batch,
            nothing_is_lost_in_translation, a_conflict_does_not_use_up_the_event,
            failures_are_kept_with_the_commit, a_long_conversation_keeps_up,
            a_conversation_must_be_one_revision_behind, a_task_must_have_the_expected_sequence,
            a_message_must_have_the_expected_revision, history_is_never_written_over,
            an_answer_is_kept_once, a_stale_conversation_stops_it_all, a_stale_task_stops_it_all,
            an_existing_task_stops_it_all, a_stale_message_stops_it_all,
            an_existing_row_of_history_stops_it_all, a_second_answer_stops_it_all,
            an_envelope_that_is_too_large_stops_it_all, a_good_commit_does_it_all,
            every_outbox_arrives, a_redelivered_event_brings_its_outbox,
            a_timer_is_found_until_it_is_done, overdue_timers_are_found_in_order,
            a_withdrawn_timer_does_not_fire,
            an_unpublished_timer_can_be_withdrawn, a_timer_is_replaced_in_one_step,
            awaiting_follows_the_status, several_tasks_await_one_event,
            an_answer_is_kept_until_it_expires, an_expired_key_is_free_again, forgetting_is_bounded,
            forgetting_keeps_what_has_not_expired,
        );
    };
    ($make:path, concurrency) => {
        $crate::__faulty_cases!($make, concurrency:
            no_change_of_few_is_lost, conversations_do_not_disturb_each_other,
        );
    };
    ($make:path, bus) => {
        $crate::__faulty_cases!($make, bus:
            an_id_is_published_once, timers_come_due_in_order, the_next_due_time_is_known,
            what_is_acknowledged_is_done, giving_up_publishes_instead, tries_are_counted,
            the_backlog_is_counted, an_envelope_has_a_largest_size,
            publishers_at_once_keep_their_order,
        );
    };
}

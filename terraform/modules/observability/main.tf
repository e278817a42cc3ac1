# What people see of the system, and what they are told of without looking.

locals {
  service_filter = join(" OR ", [for service in values(var.services) : "resource.labels.service_name=\"${service}\""])

  # Lines of the functions' logs that are counted. A test holds the texts to the code.
  counted = {
    failures    = { message = "gave up; it is kept as a failure", help = "Messages and events that were given up, kept under GET /v1/failures" }
    tasks       = { message = "a task failed", help = "Tasks that ended as failed" }
    quarantined = { message = "rows do not fit their table", help = "Appends with rows that BigQuery's table does not take" }
    unsigned    = { message = "a webhook request was not signed as it must be", help = "Webhooks without the right signature" }
    refused     = { message = "a request was turned away", help = "Pushes without the right token" }
  }
}

resource "google_logging_metric" "counted" {
  for_each = local.counted

  project     = var.project
  name        = "${var.name}/${each.key}"
  description = each.value.help
  filter      = "resource.type=\"cloud_run_revision\" AND (${local.service_filter}) AND jsonPayload.message=\"${each.value.message}\""

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"
  }
}

locals {
  # Each with the filter of its series, how they become one number, and what to do.
  alerts = {
    landing = {
      title   = "rows land late"
      filter  = "resource.type = \"pubsub_subscription\" AND resource.labels.subscription_id = \"${var.landing_subscription}\" AND metric.type = \"pubsub.googleapis.com/subscription/oldest_unacked_message_age\""
      aligner = "ALIGN_MAX"
      reducer = "REDUCE_MAX"
      period  = 60
      above   = var.thresholds.landing_lag
      help    = "BigQuery is slow or refuses rows. Chats go on; nothing is lost."
    }
    latency = {
      title   = "webhooks are answered slowly"
      filter  = "resource.type = \"cloud_run_revision\" AND resource.labels.service_name = \"${var.public_service}\" AND metric.type = \"run.googleapis.com/request_latencies\""
      aligner = "ALIGN_PERCENTILE_99"
      reducer = "REDUCE_MAX"
      period  = 300
      above   = var.thresholds.webhook_millis
      help    = "Channels give up on a webhook after a few seconds and send it again. Look at instances and at Pub/Sub's publish latency."
    }
  }
}

locals {
  # Lines that people are told of as they are written. A threshold on the counted lines would do as well, but a
  # metric that was made a moment ago is not known yet to whoever makes the alert.
  told = {
    failures    = "Messages or events were given up. `GET /v1/failures?state=open` lists them with the reason; `POST /v1/failures/{id}/retry` tries one again."
    quarantined = "A table of BigQuery was changed behind Chatflow's back, or a mapping is wrong. The rows are kept: see `GET /v1/tables/{id}/quarantine`."
  }
}

resource "google_monitoring_alert_policy" "told" {
  for_each = local.told

  project               = var.project
  display_name          = "${var.name}: ${local.counted[each.key].message}"
  combiner              = "OR"
  notification_channels = var.notification_channels
  user_labels           = var.labels

  conditions {
    display_name = local.counted[each.key].help

    condition_matched_log {
      filter = google_logging_metric.counted[each.key].filter
    }
  }

  alert_strategy {
    auto_close = "86400s"
    notification_rate_limit {
      period = "${var.thresholds.told_every}s"
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = each.value
  }
}

resource "google_monitoring_alert_policy" "this" {
  for_each = local.alerts

  project               = var.project
  display_name          = "${var.name}: ${each.value.title}"
  combiner              = "OR"
  notification_channels = var.notification_channels
  user_labels           = var.labels

  conditions {
    display_name = each.value.title

    condition_threshold {
      filter          = each.value.filter
      comparison      = "COMPARISON_GT"
      threshold_value = each.value.above
      duration        = "0s"

      aggregations {
        alignment_period     = "${each.value.period}s"
        per_series_aligner   = each.value.aligner
        cross_series_reducer = each.value.reducer
      }
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = each.value.help
  }
}

# A share of two series, which the other alerts are not.
resource "google_monitoring_alert_policy" "errors" {
  project               = var.project
  display_name          = "${var.name}: requests fail"
  combiner              = "OR"
  notification_channels = var.notification_channels
  user_labels           = var.labels

  conditions {
    display_name = "More than ${var.thresholds.error_percent} % of requests are answered 5xx"

    condition_threshold {
      filter = join(" AND ", [
        "resource.type = \"cloud_run_revision\"",
        "resource.labels.service_name = starts_with(\"${var.name}-\")",
        "metric.type = \"run.googleapis.com/request_count\"",
        "metric.labels.response_code_class = \"5xx\"",
      ])
      denominator_filter = join(" AND ", [
        "resource.type = \"cloud_run_revision\"",
        "resource.labels.service_name = starts_with(\"${var.name}-\")",
        "metric.type = \"run.googleapis.com/request_count\"",
      ])
      comparison      = "COMPARISON_GT"
      threshold_value = var.thresholds.error_percent / 100
      duration        = "300s"

      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
        group_by_fields      = ["resource.label.service_name"]
      }
      denominator_aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
        group_by_fields      = ["resource.label.service_name"]
      }
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = <<-EOT
      503 with `Retry-After` is how a function asks Pub/Sub for the message again, so a few are usual. Many of them:
      look at the function's log for "will try again" and its reason. After a release: roll it back first.
    EOT
  }
}

resource "google_billing_budget" "this" {
  count = var.budget == null ? 0 : 1

  billing_account = var.budget.billing_account
  display_name    = var.name

  budget_filter {
    projects = ["projects/${var.budget.project_number}"]
  }

  amount {
    specified_amount {
      units = tostring(var.budget.amount)
    }
  }

  dynamic "threshold_rules" {
    for_each = [0.5, 0.9, 1.0]
    content {
      threshold_percent = threshold_rules.value
    }
  }

  threshold_rules {
    threshold_percent = 1.0
    spend_basis       = "FORECASTED_SPEND"
  }

  all_updates_rule {
    monitoring_notification_channels = var.notification_channels
    schema_version                   = "1.0"
  }
}

# One topic, the function it wakes, and what becomes of messages that cannot be delivered.
#
# It has no schema: an envelope is a CloudEvent whose type is an attribute, and the functions check
# every field with messages for people; Pub/Sub could only say "does not match".

locals {
  dead_letter_topic = var.takes_dead_letters ? google_pubsub_topic.dead_letters[0].id : var.dead_letter_topic
}

resource "google_pubsub_topic" "this" {
  project      = var.project
  name         = var.name
  kms_key_name = var.kms_key
  labels       = var.labels

  # What was delivered can be delivered again for a week (`gcloud pubsub subscriptions seek`).
  message_retention_duration = "604800s"

  dynamic "message_storage_policy" {
    for_each = length(var.storage_regions) > 0 ? [var.storage_regions] : []
    content {
      allowed_persistence_regions = message_storage_policy.value
    }
  }
}

resource "google_pubsub_topic_iam_binding" "publishers" {
  count = var.takes_dead_letters || length(var.publishers) > 0 ? 1 : 0

  project = var.project
  topic   = google_pubsub_topic.this.name
  role    = "roles/pubsub.publisher"
  members = concat(var.publishers, var.takes_dead_letters ? [var.pubsub_agent] : [])
}

resource "google_pubsub_subscription" "this" {
  project = var.project
  # The name tells the function `failures` which topic a dead letter was in.
  name                       = var.name
  topic                      = google_pubsub_topic.this.id
  labels                     = var.labels
  ack_deadline_seconds       = var.push.ack_seconds
  enable_message_ordering    = true
  message_retention_duration = "604800s"

  # A subscription must not vanish because nobody wrote for a month.
  expiration_policy {
    ttl = ""
  }

  push_config {
    push_endpoint = var.push.endpoint

    # Wrapped: the number of the attempt comes with it.
    oidc_token {
      service_account_email = var.push.service_account
      audience              = var.push.audience
    }
  }

  retry_policy {
    minimum_backoff = "1s"
    maximum_backoff = "300s"
  }

  dead_letter_policy {
    dead_letter_topic     = local.dead_letter_topic
    max_delivery_attempts = var.delivery_attempts
  }
}

# Pub/Sub takes a dead letter out of the subscription by itself.
resource "google_pubsub_subscription_iam_binding" "agent" {
  project      = var.project
  subscription = google_pubsub_subscription.this.name
  role         = "roles/pubsub.subscriber"
  members      = [var.pubsub_agent]
}

resource "google_pubsub_topic" "dead_letters" {
  count = var.takes_dead_letters ? 1 : 0

  project      = var.project
  name         = "${var.name}-dead"
  kms_key_name = var.kms_key
  labels       = var.labels

  message_retention_duration = "2678400s"

  dynamic "message_storage_policy" {
    for_each = length(var.storage_regions) > 0 ? [var.storage_regions] : []
    content {
      allowed_persistence_regions = message_storage_policy.value
    }
  }
}

resource "google_pubsub_topic_iam_binding" "dead_letters" {
  count = var.takes_dead_letters ? 1 : 0

  project = var.project
  topic   = google_pubsub_topic.dead_letters[0].name
  role    = "roles/pubsub.publisher"
  members = [var.pubsub_agent]
}

# Pulled by a person: `gcloud pubsub subscriptions pull`.
resource "google_pubsub_subscription" "dead_letters" {
  count = var.takes_dead_letters ? 1 : 0

  project                    = var.project
  name                       = "${var.name}-dead"
  topic                      = google_pubsub_topic.dead_letters[0].id
  labels                     = var.labels
  message_retention_duration = "2678400s"
  retain_acked_messages      = true

  expiration_policy {
    ttl = ""
  }
}

resource "google_monitoring_alert_policy" "age" {
  project               = var.project
  display_name          = "${var.name}: messages wait too long"
  combiner              = "OR"
  notification_channels = var.notification_channels
  user_labels           = var.labels

  conditions {
    display_name = "The oldest message is older than ${var.age_alert_seconds} s"

    condition_threshold {
      filter = join(" AND ", [
        "resource.type = \"pubsub_subscription\"",
        "resource.labels.subscription_id = \"${google_pubsub_subscription.this.name}\"",
        "metric.type = \"pubsub.googleapis.com/subscription/oldest_unacked_message_age\"",
      ])
      comparison      = "COMPARISON_GT"
      threshold_value = var.age_alert_seconds
      duration        = "60s"

      aggregations {
        alignment_period   = "60s"
        per_series_aligner = "ALIGN_MAX"
      }
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = <<-EOT
      The function that `${var.name}` wakes does not keep up, or does not answer. Look at its logs and its
      error rate on the dashboard, then at `GET /v1/failures`. Nothing is lost: messages are kept for a week.
    EOT
  }
}

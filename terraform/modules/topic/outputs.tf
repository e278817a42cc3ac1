output "id" {
  description = "The topic: `projects/…/topics/…`."
  value       = google_pubsub_topic.this.id
}

output "name" {
  description = "The topic's name."
  value       = google_pubsub_topic.this.name
}

output "subscription" {
  description = "The subscription's name."
  value       = google_pubsub_subscription.this.name
}

output "push" {
  description = "What is woken, as the subscription has it."
  value = {
    endpoint        = google_pubsub_subscription.this.push_config[0].push_endpoint
    audience        = google_pubsub_subscription.this.push_config[0].oidc_token[0].audience
    service_account = google_pubsub_subscription.this.push_config[0].oidc_token[0].service_account_email
  }
}

output "dead_letters" {
  description = "Where dead letters go, and after how many deliveries."
  value = {
    topic    = google_pubsub_subscription.this.dead_letter_policy[0].dead_letter_topic
    attempts = google_pubsub_subscription.this.dead_letter_policy[0].max_delivery_attempts
  }
}

output "publishers" {
  description = "Who may publish."
  value       = toset(flatten(google_pubsub_topic_iam_binding.publishers[*].members))
}

output "dead_letter_publishers" {
  description = "Who may publish to its own dead-letter topic; empty where it has none."
  value       = toset(flatten(google_pubsub_topic_iam_binding.dead_letters[*].members))
}

output "subscribers" {
  description = "Who may take messages out of the subscription."
  value       = toset(google_pubsub_subscription_iam_binding.agent.members)
}

output "encryption_keys" {
  description = "The key of Cloud KMS on each part that keeps something."
  value       = concat([google_pubsub_topic.this.kms_key_name], google_pubsub_topic.dead_letters[*].kms_key_name)
}

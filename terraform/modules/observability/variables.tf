variable "project" {
  description = "The project's id."
  type        = string
}

variable "name" {
  description = "What names begin with."
  type        = string
}

variable "services" {
  description = "The Cloud Run services by function."
  type        = map(string)
}

variable "public_service" {
  description = "The service whose latency channels see."
  type        = string
}

variable "subscriptions" {
  description = "The subscriptions by topic."
  type        = map(string)
}

variable "landing_subscription" {
  description = "The subscription of rows that are to land."
  type        = string
}

variable "notification_channels" {
  description = "Ids of the channels that alerts go to: `projects/…/notificationChannels/…`."
  type        = list(string)
}

variable "thresholds" {
  description = <<-EOT
    When people are told: the share of requests answered 5xx in percent, seconds that rows may wait to land,
    milliseconds in which 99 of 100 webhooks are answered; and the seconds between two words about failures.
  EOT
  type = object({
    told_every     = number
    error_percent  = number
    landing_lag    = number
    webhook_millis = number
  })
}

variable "budget" {
  description = <<-EOT
    The billing account (`000000-000000-000000`), the project's number, and the amount of a month in the account's
    currency. Null sets no budget.
  EOT
  type = object({
    billing_account = string
    project_number  = string
    amount          = number
  })
  default = null
}

variable "labels" {
  description = "Labels of alerts."
  type        = map(string)
  default     = {}
}

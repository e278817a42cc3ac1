variable "project" {
  description = "The project's id."
  type        = string
}

variable "region" {
  description = "Where everything runs. It cannot be changed later."
  type        = string
  default     = "asia-east1"
}

variable "domain" {
  description = "The host name of everything, such as `chat.example.com`."
  type        = string
}

variable "edge" {
  description = "Requests of one address in a minute: `{ webhooks_per_minute = 6000 }`. A channel sends from few addresses."
  type        = map(number)
  default     = {}
}

variable "images" {
  description = "The container image of each function, by digest; `infra/cloudbuild.yaml` writes them."
  type        = map(string)
}

variable "admins" {
  description = "Who comes to the API and the admin page, as IAM members: `group:ops@example.com`."
  type        = list(string)
}

variable "analysts" {
  description = "Who may read the rows in BigQuery, as IAM members."
  type        = list(string)
  default     = []
}

variable "secrets" {
  description = "Secrets that flows and connections name, each with the functions that may read it."
  type        = map(set(string))
  default     = {}
}

variable "public_webhooks" {
  description = "Whether everybody may call webhooks; the senders' signatures are checked all the same."
  type        = bool
  default     = true
}

variable "webhook_callers" {
  description = "Who may call webhooks where they are not public, as IAM members."
  type        = list(string)
  default     = []
}

variable "min_instances" {
  description = "Instances that stay awake of each function that a person waits for."
  type        = number
  default     = 1
}

variable "cpu_always" {
  description = "Whether their CPU stays on between requests; cheaper from about ten messages a second on."
  type        = bool
  default     = false
}

variable "limits" {
  description = "Limits of single functions instead of those (see `modules/chatflow`)."
  type = map(object({
    concurrency   = optional(number)
    timeout       = optional(number)
    cpu           = optional(string)
    memory        = optional(string)
    min_instances = optional(number)
    max_instances = optional(number)
    cpu_always    = optional(bool)
  }))
  default = {}
}

variable "keep" {
  description = "Days that history, quiet conversations and rows in BigQuery are kept; null keeps them."
  type = object({
    history_days       = optional(number)
    conversations_days = optional(number)
    rows_days          = optional(number)
  })
  default = {}
}

variable "notification_channels" {
  description = "Ids of the channels that alerts go to. Without one nobody is told."
  type        = list(string)

  validation {
    condition     = length(var.notification_channels) > 0
    error_message = "Name a channel: an alert that reaches nobody is none."
  }
}

variable "alerts" {
  description = "Thresholds that differ from the usual ones (see `modules/chatflow`)."
  type        = map(number)
  default     = {}
}

variable "budget" {
  description = "A budget that people are told of: the billing account and the amount of a month."
  type = object({
    billing_account = string
    amount          = number
  })
  default = null
}

variable "kms_key" {
  description = "A key of Cloud KMS that encrypts everything that is kept; null leaves it to Google."
  type        = string
  default     = null
}

variable "log" {
  description = "What is logged, as `CHATFLOW_LOG` takes it."
  type        = string
  default     = null
}

variable "collector" {
  description = "An OpenTelemetry collector (HTTP) that traces and metrics go to."
  type        = string
  default     = null
}

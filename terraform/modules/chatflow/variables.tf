variable "project" {
  description = "The project's id."
  type        = string
}

variable "region" {
  description = "Where everything runs, such as `asia-east1`. Firestore's and BigQuery's locations cannot be changed later."
  type        = string
}

variable "name" {
  description = "What the names of everything begin with."
  type        = string
  default     = "chatflow"

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,13}$", var.name))
    error_message = "Use 2 to 14 lower-case letters and digits, the first a letter: account ids have little room."
  }

  validation {
    condition = !anytrue([
      for word in ["events", "outbound", "calls", "landing", "timers", "failures"] : strcontains(var.name, word)
    ])
    error_message = "Not the name of a topic: dead letters say by their subscription's name where they come from."
  }
}

variable "images" {
  description = <<-EOT
    The container image of each function, by digest (`…/gateway@sha256:…`): `gateway`, `controller`, `messenger`,
    `connector`, `landing`, `timekeeper`, `failures`.
  EOT
  type        = map(string)

  validation {
    condition     = alltrue([for image in values(var.images) : can(regex("^[a-z0-9-]+\\.[a-z0-9./_-]+@sha256:[0-9a-f]{64}$", image))])
    error_message = "Name images by digest, such as asia-east1-docker.pkg.dev/acme/chatflow/gateway@sha256:…: a tag may be moved."
  }
}

variable "limits" {
  description = <<-EOT
    What differs from `functions.tf`, by function: `{ controller = { min_instances = 1 } }`. Under `default`: for all.
  EOT
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

variable "public_webhooks" {
  description = <<-EOT
    Whether everybody may call `/webhooks/…`, which LINE, Slack and most others need: they sign what they send and
    know nothing of Google's tokens. Where false, only `webhook_callers` may.
  EOT
  type        = bool
}

variable "webhook_callers" {
  description = "Who may call webhooks where they are not public, as IAM members."
  type        = list(string)
  default     = []
}

variable "admins" {
  description = "Who may call the API and the admin page, as IAM members; Chatflow's own API key is asked for as well."
  type        = list(string)

  validation {
    condition     = alltrue([for member in var.admins : !contains(["allUsers", "allAuthenticatedUsers"], member)])
    error_message = "The API and the admin page are not public: name groups, people or service accounts."
  }
}

variable "analysts" {
  description = "Who may read the rows in BigQuery, as IAM members."
  type        = list(string)
  default     = []
}

variable "secrets" {
  description = <<-EOT
    Secrets that flows and connections name, each with the functions that may read it: `gateway` checks signatures
    with it, `messenger` sends replies with it, `connector` makes calls with it. Values are added later.
  EOT
  type        = map(set(string))
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.secrets) : can(regex("^[a-z][a-z0-9-]{0,62}$", name))])
    error_message = "A secret's name has lower-case letters, digits and hyphens, the first a letter."
  }
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

variable "backups" {
  description = "Days that Firestore's daily and weekly backups are kept, and whether every version of seven days is."
  type = object({
    daily_days             = number
    weekly_days            = number
    point_in_time_recovery = bool
  })
}

variable "edge" {
  description = <<-EOT
    A load balancer for a domain of your own, with limits by address and Identity-Aware Proxy before the API and the
    admin page. Null leaves Cloud Run's own addresses.
  EOT
  type = object({
    domain                    = string
    webhooks_per_minute       = optional(number, 600)
    admin_requests_per_minute = optional(number, 1200)
  })
  default = null
}

variable "alerts" {
  description = "Channels that alerts go to, and when people are told (see `modules/observability` and `modules/topic`)."
  type = object({
    notification_channels = optional(list(string), [])
    told_every            = optional(number, 900)
    error_percent         = optional(number, 5)
    landing_lag           = optional(number, 300)
    webhook_millis        = optional(number, 1000)
    message_age           = optional(number, 300)
  })
  default = {}
}

variable "budget" {
  description = "A budget that people are told of: the billing account and the amount of a month, in its currency."
  type = object({
    billing_account = string
    amount          = number
  })
  default = null
}

variable "log" {
  description = "What is logged, as `CHATFLOW_LOG` takes it; null is the functions' own default."
  type        = string
  default     = null
}

variable "collector" {
  description = "An OpenTelemetry collector (HTTP) that traces and metrics go to; null sends none."
  type        = string
  default     = null
}

variable "kms_key" {
  description = <<-EOT
    A key of Cloud KMS in the same region that encrypts Firestore, BigQuery, Pub/Sub, secrets and the services: its
    full name. Null leaves it to Google.
  EOT
  type        = string
  default     = null
}

variable "deletion_protection" {
  description = "Whether services, database, tables and what they hold cannot be deleted by Terraform."
  type        = bool
}

variable "labels" {
  description = "Labels of everything that can have some."
  type        = map(string)
  default     = {}
}

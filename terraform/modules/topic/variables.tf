variable "project" {
  description = "The project's id."
  type        = string
}

variable "name" {
  description = "The topic's and the subscription's name: a prefix and one of Chatflow's topics."
  type        = string
}

variable "publishers" {
  description = "Who alone may publish, as IAM members. Pub/Sub itself is added where it brings dead letters."
  type        = list(string)
}

variable "push" {
  description = <<-EOT
    The function that is woken: where it is, the audience its tokens must name, the account that calls it, and the
    seconds it may take until a message is delivered again.
  EOT
  type = object({
    endpoint        = string
    audience        = string
    service_account = string
    ack_seconds     = number
  })

  validation {
    condition     = startswith(var.push.endpoint, "https://") && !endswith(var.push.audience, "/")
    error_message = "The endpoint is an https:// URL; the audience has no slash at its end."
  }

  validation {
    condition     = var.push.ack_seconds >= 10 && var.push.ack_seconds <= 600
    error_message = "Pub/Sub waits 10 to 600 seconds for an answer."
  }
}

variable "takes_dead_letters" {
  description = <<-EOT
    Whether Pub/Sub brings this topic the dead letters of others. What cannot be delivered of those goes to a topic
    of its own, with a subscription that keeps it for a month, for a person to look at.
  EOT
  type        = bool
  default     = false
}

variable "dead_letter_topic" {
  description = "The id of the topic that takes what could not be delivered; for all but that one."
  type        = string
  default     = null
}

variable "delivery_attempts" {
  description = "Deliveries of a message until it is a dead letter: 5 to 100."
  type        = number
  default     = 100

  validation {
    condition     = var.delivery_attempts >= 5 && var.delivery_attempts <= 100
    error_message = "Pub/Sub takes 5 to 100."
  }
}

variable "pubsub_agent" {
  description = "Pub/Sub's own account in the project, as an IAM member."
  type        = string
}

variable "age_alert_seconds" {
  description = "How old the oldest message may become before people are told."
  type        = number
}

variable "notification_channels" {
  description = "Ids of the channels that alerts go to."
  type        = list(string)
}

variable "kms_key" {
  description = "A key of Cloud KMS that encrypts messages; null leaves it to Google."
  type        = string
  default     = null
}

variable "storage_regions" {
  description = "Regions in which messages may be stored; empty leaves it to the organisation's policy."
  type        = list(string)
  default     = []
}

variable "labels" {
  description = "Labels of topic and subscription."
  type        = map(string)
  default     = {}
}

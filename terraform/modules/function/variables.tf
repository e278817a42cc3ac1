variable "project" {
  description = "The project's id."
  type        = string
}

variable "region" {
  description = "Where the service runs, such as `asia-east1`."
  type        = string
}

variable "name" {
  description = "The service's name; at most 49 characters, as Cloud Run's URLs allow."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,47}[a-z0-9]$", var.name))
    error_message = "Use 2 to 49 lower-case letters, digits and hyphens, the first a letter."
  }
}

variable "account_id" {
  description = "The id of the service account that is made for it: 6 to 30 characters."
  type        = string
}

variable "description" {
  description = "What it does, in a sentence."
  type        = string
}

variable "image" {
  description = "The container image, by digest: `…/gateway@sha256:…`."
  type        = string
}

variable "environment" {
  description = "Environment variables. Secret values do not belong here."
  type        = map(string)
}

variable "secret_environment" {
  description = "Environment variables whose values are in Secret Manager: the secret's id by variable."
  type        = map(string)
  default     = {}
}

variable "invokers" {
  description = "Who alone may call it, as IAM members (`serviceAccount:…`)."
  type        = list(string)
}

variable "public" {
  description = "Whether everybody may call it. Only for what checks signatures itself."
  type        = bool
  default     = false
}

variable "ingress" {
  description = "From where it can be reached: `all`, `internal` or `load-balancer`."
  type        = string

  validation {
    condition     = contains(["all", "internal", "load-balancer"], var.ingress)
    error_message = "Use `all`, `internal` or `load-balancer`."
  }
}

variable "limits" {
  description = <<-EOT
    What an instance may use, and how many there may be: requests at once per instance, seconds of a request,
    CPUs, memory, instances at least and at most, and whether the CPU stays on between requests.
  EOT
  type = object({
    concurrency   = number
    timeout       = number
    cpu           = string
    memory        = string
    min_instances = number
    max_instances = number
    cpu_always    = bool
  })

  validation {
    condition     = var.limits.concurrency >= 1 && var.limits.concurrency <= 1000
    error_message = "An instance takes 1 to 1000 requests at once."
  }

  validation {
    condition     = var.limits.timeout >= 10 && var.limits.timeout <= 3600
    error_message = "A request may take 10 to 3600 seconds."
  }

  validation {
    condition     = var.limits.min_instances >= 0 && var.limits.max_instances >= max(1, var.limits.min_instances)
    error_message = "There must be room for at least one instance, and for the least number of them."
  }
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to destroy the service."
  type        = bool
}

variable "kms_key" {
  description = "A key of Cloud KMS that encrypts the image's copy; null leaves it to Google."
  type        = string
  default     = null
}

variable "labels" {
  description = "Labels of the service."
  type        = map(string)
  default     = {}
}

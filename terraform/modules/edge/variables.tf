variable "project" {
  description = "The project's id."
  type        = string
}

variable "region" {
  description = "Where the services run."
  type        = string
}

variable "name" {
  description = "What names begin with."
  type        = string
}

variable "domain" {
  description = "The host name that people and channels use, such as `chat.example.com`. Its A record must name the address that comes out."
  type        = string

  validation {
    condition     = can(regex("^([a-z0-9-]+\\.)+[a-z]{2,}$", var.domain))
    error_message = "Use a host name such as chat.example.com."
  }
}

variable "webhook_service" {
  description = "The Cloud Run service that takes webhooks."
  type        = string
}

variable "admin_service" {
  description = "The Cloud Run service of the API and the admin page."
  type        = string
}

variable "admins" {
  description = "Who comes through Identity-Aware Proxy, as IAM members: `group:ops@example.com`, and accounts of programs."
  type        = list(string)

  validation {
    condition     = alltrue([for member in var.admins : !contains(["allUsers", "allAuthenticatedUsers"], member)])
    error_message = "The admin page is not public: name groups, people or service accounts."
  }
}

variable "webhooks_per_minute" {
  description = "Requests of one address in a minute until it is told to wait."
  type        = number
}

variable "admin_requests_per_minute" {
  description = "The same, for the admin page and the API."
  type        = number
}

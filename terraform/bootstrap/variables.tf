variable "project" {
  description = "The project's id. It exists and has billing."
  type        = string
}

variable "region" {
  description = "Where images and states are kept."
  type        = string
  default     = "asia-east1"
}

variable "github_repository" {
  description = "The repository whose workflow may deploy, `owner/name`; null makes no identity for one."
  type        = string
  default     = null

  validation {
    condition     = var.github_repository == null || can(regex("^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$", var.github_repository))
    error_message = "Use owner/name."
  }
}

variable "github_environments" {
  description = "GitHub environments whose jobs may deploy; protect them with reviewers."
  type        = set(string)
  default     = ["dev", "prod"]
}

variable "kms_key" {
  description = "A key of Cloud KMS that encrypts states and images; null leaves it to Google."
  type        = string
  default     = null
}

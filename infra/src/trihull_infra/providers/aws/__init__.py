"""AWS: EKS, ECR, S3, IAM."""

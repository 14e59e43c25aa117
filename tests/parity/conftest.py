"""What only PyTorch can import is not collected."""

collect_ignore = ["torch_caffe.py", "torch_resnet_cifar.py"]

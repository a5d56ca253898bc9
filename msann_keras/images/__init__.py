"""Networks of convolutions: thinner ones, on smaller images, that teach them.

`channels` finds what can be halved, `stencils` what a kernel is on smaller images;
`views` makes the network of one level of these, `levels` ties the levels together, and
`plan` says which of them pay.
"""

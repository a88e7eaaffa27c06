-- What wrk sends: one image of the digits model.
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.body = '{"inputs":[{"name":"image","datatype":"FP32","shape":[1,64],"data":[4,2,8,3,15,14,15,12,6,3,15,0,12,13,0,14,8,7,3,10,0,0,0,0,12,6,13,0,16,7,14,15,7,11,7,7,14,9,0,13,3,5,9,3,10,16,13,16,6,9,9,15,16,12,1,15,7,12,13,5,11,11,2,14]}]}'
